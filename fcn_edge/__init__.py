"""The ground of fcn-edge: what every stage shares, the command-line door and the training stage."""

__version__ = "0.1.0"
