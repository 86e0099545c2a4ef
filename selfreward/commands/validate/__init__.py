"""The ruler is proven before it measures: intervals cover, nulls stay silent, planted effects are found."""
