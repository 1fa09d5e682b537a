"""Settings, the training configuration, the base models and the prompts."""
