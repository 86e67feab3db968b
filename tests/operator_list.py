"""The operators that quboprune promises to run, by family, and why single official cases don't pass."""

FAMILIES = [
    ("Convolutions and products", ["Conv", "ConvTranspose", "DeformConv", "Gemm", "MatMul", "Attention", "LSTM", "GRU",
                                  "RNN"]),
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
    ("Quantised: run, not pruned", [
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger",
        "QLinearConv", "QLinearMatMul"]),
]

# Part of a case's name, and why it doesn't pass.
EXCEPTIONS = [
    ("training_dropout", "draws random numbers, which no two runtimes share"),
    ("dropout_random", "draws random numbers, which no two runtimes share"),
    ("range_float_type_positive_delta_expanded", "the expansion is a Loop, which doesn't run here"),
    ("range_float16_type_positive_delta_expanded", "the expansion is a Loop, which doesn't run here"),
    ("range_bfloat16_type_positive_delta_expanded", "the expansion is a Loop, which doesn't run here"),
    ("range_int32_type_negative_delta_expanded", "the expansion is a Loop, which doesn't run here"),
    ("resize_downsample_scales_linear_align_corners",
     "the case spaces corners by the fractional size; we follow ONNX Runtime and PyTorch, by the whole one"),
    ("resize_downsample_scales_cubic_align_corners",
     "the case spaces corners by the fractional size; we follow ONNX Runtime and PyTorch, by the whole one"),
    ("castlike", "8-bit floats and 4-bit integers are held in wider types, which the target doesn't tell"),
    ("quantizelinear", "8-bit floats and 4-bit integers are held in wider types, which the zero point doesn't tell"),
    ("gridsample_volumetric_nearest", "LibTorch rounds ties between voxels to the even one"),
    ("identity_opt", "optional values, not tensors"),
    ("STRING", "strings"),
    ("string", "strings"),
]


def reason_of(case, message):
    """One line for the table: a known exception, or what the run said."""
    for part, why in EXCEPTIONS:
        if part in case:
            return why
    return message.split("; ")[0].replace("|", "/")
