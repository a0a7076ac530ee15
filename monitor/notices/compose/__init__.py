"""From causes to written notices: grouping, the brake, digests."""
