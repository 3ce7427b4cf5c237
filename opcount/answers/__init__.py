"""What layers, functions and operators return, from the shapes they are given, without running.

An answer is given only where it is certain. For anything else, and for shapes that do not fit, it is None: then PyTorch
runs on the meta device and says itself what comes out, or what is wrong. Counts do not take an answer on trust: they
come from the tensors that went in and came out.
"""

from opcount.answers import functions, gradients, layers, operators
from opcount.answers.registry import ANSWERS, Answer, answer, layer_answer

__all__ = ["ANSWERS", "Answer", "answer", "functions", "gradients", "layer_answer", "layers", "operators"]
