"""`selfreward canary`: may this recipe's judge be trained on? Said before any training."""
