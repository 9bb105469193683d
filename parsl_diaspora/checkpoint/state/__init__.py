"""A state as bytes and back: arrays, tensors, objects and files, without a copy where that can be."""

from parsl_diaspora.checkpoint.state.files import StateFile
from parsl_diaspora.checkpoint.state.flatten import Piece, flatten
from parsl_diaspora.checkpoint.state.leaf import Leaf
from parsl_diaspora.checkpoint.state.likeness import check_likeness
from parsl_diaspora.checkpoint.state.rebuild import rebuild, room_for

__all__ = ["Leaf", "Piece", "StateFile", "check_likeness", "flatten", "rebuild", "room_for"]
