"""Notices that are neither delayed nor held by the brake."""
