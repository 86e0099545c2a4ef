"""`selfreward anchors label`: the sheets of human anchors as a local page."""
