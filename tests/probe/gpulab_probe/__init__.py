"""An experiment that behaves or misbehaves as its spec says; put this folder's parent on the path to install it."""
