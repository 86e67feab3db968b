#pragma once

namespace quboprune {

/// Ends a message about targets of another shape than the outputs.
inline constexpr const char* kOtherTargets =
    "; class labels are integers, one a sample or one a pixel; --metric output --loss output compares with "
    "the original instead";

}  // namespace quboprune
