"""selfreward: self-rewarding iterative DPO on one device, with the measurements that say whether it helped."""

__version__ = "0.1.0"
