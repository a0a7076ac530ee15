"""A first manifest, made from what a vendor has: labels, scopes, or the text of its setup guide."""
