"""The homework of a deep-learning class: its experiments, its questions and their answers, as a plug-in of the lab."""
