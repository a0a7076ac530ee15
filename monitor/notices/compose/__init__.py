"""From causes to written notices: grouping, the brake, the digest."""
