"""The BERT of all-MiniLM-L6-v2 as an ONNX graph without weights.

``minilm.onnx`` beside this file is what ``python -m egorag.encode.bert_onnx`` writes (a test
rebuilds it and compares). It holds the operations only, 21 kB: the weights stay in the
checkpoint's safetensors file and are handed to onnxruntime under their own names. So a search
need not import ``onnx`` (0.3 s), and no second copy of 90 MB of weights is kept anywhere.

Input ``ids`` int64 [batch, length], texts of one length (so no padding, no mask); output
``vectors`` float32 [batch, 384]: the mean of the token states, scaled to unit length.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

GRAPH = Path(__file__).with_name("minilm.onnx")

VOCABULARY, POSITIONS, LAYERS, HEADS, WIDTH, INNER = 30_522, 512, 6, 12, 384, 1_536
NORM_EPSILON = 1e-12


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """The checkpoint tensors the graph takes, by name."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    linear = {
        "attention.self.query": (WIDTH, WIDTH),
        "attention.self.key": (WIDTH, WIDTH),
        "attention.self.value": (WIDTH, WIDTH),
        "attention.output.dense": (WIDTH, WIDTH),
        "intermediate.dense": (INNER, WIDTH),
        "output.dense": (WIDTH, INNER),
    }
    for layer in (f"encoder.layer.{i}" for i in range(LAYERS)):
        for name, (outputs, inputs) in linear.items():
            shapes[f"{layer}.{name}.weight"] = (outputs, inputs)
            shapes[f"{layer}.{name}.bias"] = (outputs,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{layer}.{name}.weight"] = (WIDTH,)
            shapes[f"{layer}.{name}.bias"] = (WIDTH,)
    return shapes


class _Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: Any, dtype: str = "int64") -> str:
        import numpy as np
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def norm(self, x: str, name: str) -> str:
        weights = (f"{name}.weight", f"{name}.bias")
        return self.op("LayerNormalization", x, *weights, axis=-1, epsilon=NORM_EPSILON)

    def linear(self, x: str, name: str) -> str:
        return self.op("Gemm", x, f"{name}.weight", f"{name}.bias", transB=1)


def build() -> onnx.ModelProto:
    """The graph, as standard ONNX operators (opset 20). Needs the ``onnx`` package."""
    from onnx import TensorProto, helper

    g = _Graph()
    for name, shape in weight_shapes().items():
        g.tensors.append(
            TensorProto(
                name=name,
                data_type=TensorProto.FLOAT,
                dims=shape,
                data_location=TensorProto.EXTERNAL,
                external_data=[{"key": "location", "value": "model.safetensors"}],
            )
        )
    g.constant("zero", 0)
    g.constant("one", 1)
    g.constant("first", [0])
    g.constant("flat", [-1, WIDTH])
    g.constant("per_head", [HEADS, WIDTH // HEADS])
    g.constant("width", [WIDTH])
    g.constant("scale", (WIDTH // HEADS) ** -0.5, "float32")

    batch_length = g.op("Shape", "ids")
    heads_shape = g.op("Concat", batch_length, "per_head", axis=0)
    length = g.op("Gather", batch_length, "one")
    positions = g.op("Range", "zero", length, "one")

    words = g.op("Gather", "embeddings.word_embeddings.weight", "ids")
    place = g.op("Gather", "embeddings.position_embeddings.weight", positions)
    kind = g.op("Gather", "embeddings.token_type_embeddings.weight", "first")
    x = g.norm(g.op("Add", g.op("Add", words, kind), place), "embeddings.LayerNorm")
    x = g.op("Reshape", x, "flat")  # [batch * length, width] from here on

    for layer in (f"encoder.layer.{i}" for i in range(LAYERS)):
        split = {
            part: g.op("Reshape", g.linear(x, f"{layer}.attention.self.{part}"), heads_shape)
            for part in ("query", "key", "value")
        }  # each [batch, length, heads, width / heads]
        query = g.op("Transpose", split["query"], perm=[0, 2, 1, 3])
        key = g.op("Transpose", split["key"], perm=[0, 2, 3, 1])
        value = g.op("Transpose", split["value"], perm=[0, 2, 1, 3])
        scores = g.op("Mul", g.op("MatMul", query, key), "scale")
        mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
        mixed = g.op("Reshape", g.op("Transpose", mixed, perm=[0, 2, 1, 3]), "flat")
        mixed = g.linear(mixed, f"{layer}.attention.output.dense")
        x = g.norm(g.op("Add", x, mixed), f"{layer}.attention.output.LayerNorm")

        inner = g.op("Gelu", g.linear(x, f"{layer}.intermediate.dense"))
        inner = g.linear(inner, f"{layer}.output.dense")
        x = g.norm(g.op("Add", x, inner), f"{layer}.output.LayerNorm")

    tokens = g.op("Reshape", x, g.op("Concat", batch_length, "width", axis=0))
    # Axis 1 given as a constant of one element: the opset takes axes as an input.
    g.constant("over_tokens", [1])
    mean = g.op("ReduceMean", tokens, "over_tokens", keepdims=0)
    g.op("LpNormalization", mean, output="vectors", axis=-1, p=2)

    graph = helper.make_graph(
        g.nodes,
        "all-MiniLM-L6-v2",
        inputs=[helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        outputs=[helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", WIDTH])],
        initializer=g.tensors,
    )
    # IR 10 and opset 20 (the first with Gelu) are what onnxruntime 1.20 reads.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


if __name__ == "__main__":
    GRAPH.write_bytes(build().SerializeToString(deterministic=True))
