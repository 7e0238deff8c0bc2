#pragma once
/// The whole public face of libnibble: makes trained neural networks 4 bits wide, and says what that cost.
///
///     nibble::Network net = nibble::Network::open("net.onnx");
///     nibble::Dataset data("calibration.zip", net);
///     nibble::Quantized small = nibble::quantize(net, {.scheme = "W4A8"}, data.batches(256));
///     small.network.save("net-w4a8.onnx");
///     nibble::Dataset test("test.zip", net);
///     nibble::Comparison bill = nibble::compare(net, small.network, test.batches());
///
/// Every failure is a nibble::Error. The library never prints. A caller who wants to show progress or to stop early
/// does so in the function that hands out the batches, which may throw what it likes. examples/tiny.cpp is a whole
/// program.
#include <nibble/array.h>     // IWYU pragma: export
#include <nibble/compare.h>   // IWYU pragma: export
#include <nibble/dataset.h>   // IWYU pragma: export
#include <nibble/error.h>     // IWYU pragma: export
#include <nibble/network.h>   // IWYU pragma: export
#include <nibble/quantize.h>  // IWYU pragma: export
#include <nibble/session.h>   // IWYU pragma: export
#include <nibble/version.h>   // IWYU pragma: export
