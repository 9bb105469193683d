"""A learned guess at the class of a failure, for what no rule names with certainty.

features.py  a failure as a bag of tokens
corpus.py    labelled failures: files of them, and what certain rules have labelled in event logs
training.py  a logistic regression over tokens, its confidence calibrated, by scikit-learn
weights.py   what was learned, as a file of data
guess.py     using it: pure Python, well below a millisecond
quality.py   how often it is right: confusion matrix, F1
"""

from parsl_diaspora.failures.model.guess import LearnedModel, model_for, shipped
from parsl_diaspora.failures.model.weights import Weights, read_weights

__all__ = ["LearnedModel", "Weights", "model_for", "read_weights", "shipped"]
