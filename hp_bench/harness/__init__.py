"""What the task files in `tasks/` name: one lm-eval task class a module, and the start-up shim that makes lm-eval find them."""
