"""What several training experiments share: models, optimizers, the loop, its checkpoints, its memory readings."""
