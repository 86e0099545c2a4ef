"""Several engines like one another, in processes of their own (engine.replicas)."""
