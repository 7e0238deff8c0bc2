#pragma once
#include <gtest/gtest.h>

#include "train/autograd.h"

#ifdef NIBBLE_TRAIN_FOLDER
/// Skips the test where the training component was not built; where it was, not to find it is a failure.
#define NIBBLE_REQUIRE_TRAINING() (void)nibble::train::load_module(NIBBLE_TRAIN_FOLDER)
#else
#define NIBBLE_REQUIRE_TRAINING() GTEST_SKIP() << "nibble was built without its training component (libtorch)"
#endif
