#pragma once

#include <string>

#include "recover/refit_bench.h"
#include "recover/refit_linear.h"
#include "recover/refit_moments.h"
#include "recover/refit_targets.h"

namespace quboprune {

/// Adds to the moments what a fit of a layer is made of: what it reads in the cut network of the bench at the
/// targets' positions, and what the outputs of its old weights lack there. Batches that are fitted on go to
/// `fit`, the others to `check`, which may be the same. Says why where a form of layer that we didn't foresee
/// can't be fitted (the moments are then as they were); empty otherwise.
std::string gather_rows(Bench& bench, const FitAndCheck& data, const LinearLayer& layer,
                        const LayerTargets& targets, Moments& fit, Moments& check);

}  // namespace quboprune
