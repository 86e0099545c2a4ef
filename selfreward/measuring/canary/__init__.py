"""May this judge's pairs be trained on? Said before any training: `selfreward canary` and `gates.canary`."""
