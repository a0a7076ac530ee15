"""Pre-flight: the check of a credential that a vendor's admin panel has just been given, before it is anybody's."""
