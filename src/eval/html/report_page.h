#pragma once
#include <vector>

#include "eval/html/page.h"
#include "eval/report.h"

namespace nibble::eval {

/// The page of `eval`'s report. Layers are those of the comparison joined with `report.weights` by name.
Page page_of(const Report& report);

/// The bar of two sizes; `before` 0: there is none.
PageBar size_bar(int64_t before, int64_t after);

}  // namespace nibble::eval
