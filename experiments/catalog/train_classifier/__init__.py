"""The everyday job: any torchvision model on any data set."""
