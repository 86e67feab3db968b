"""The operators that quboprune promises to run, by family, and why single official cases don't pass."""

FAMILIES = [
    ("Convolutions and products", ["Conv", "ConvTranspose", "Gemm", "MatMul"]),
    ("Normalisation", ["BatchNormalization", "InstanceNormalization", "LayerNormalization",
                       "GroupNormalization", "RMSNormalization", "LRN", "LpNormalization",
                       "MeanVarianceNormalization"]),
    ("Activations and functions of one value", [
        "Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Elu", "Selu", "Celu",
        "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Clip", "Erf", "Gelu", "Swish", "Shrink", "Exp",
        "Log", "Sqrt", "Pow", "Neg", "Abs", "Reciprocal", "Sign", "Floor", "Ceil", "Round", "Sin", "Cos",
        "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Identity", "Dropout"]),
    ("Softmax", ["Softmax", "LogSoftmax", "Hardmax"]),
    ("Pooling", ["MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool",
                 "MaxUnpool"]),
    ("Resampling and padding", ["Resize", "Upsample", "GridSample", "Pad", "DepthToSpace", "SpaceToDepth",
                                "CenterCropPad"]),
    ("Arithmetic with broadcasting", ["Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Mean", "Sum"]),
    ("Comparison and logic", ["Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And",
                              "Or", "Xor", "Not", "IsNaN", "IsInf"]),
    ("Joining and selecting", ["Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND",
                               "ScatterElements", "ScatterND", "Compress", "OneHot", "Trilu", "Expand",
                               "Tile"]),
    ("Shapes", ["Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Shape", "Size",
                "ConstantOfShape", "Constant", "Range", "Cast", "CastLike", "EyeLike", "NonZero"]),
    ("Reductions and order", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
                              "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ArgMax",
                              "ArgMin", "TopK", "CumSum", "Einsum", "NonMaxSuppression"]),
    ("Quantised: run, and frozen with a reason", [
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger",
        "QLinearConv", "QLinearMatMul"]),
]

# Part of a case's name, and why it doesn't pass.
EXCEPTIONS = [
    ("training_dropout", "draws random numbers, which no two runtimes share"),
    ("dropout_random", "draws random numbers, which no two runtimes share"),
    ("STRING", "strings"),
    ("string", "strings"),
]


def reason_of(case, message):
    """One line for the table: a known exception, or what the run said."""
    for part, why in EXCEPTIONS:
        if part in case:
            return why
    return message.split("; ")[0].replace("|", "/")
