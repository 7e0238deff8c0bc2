#include "quant/scheme.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace nibble::quant {
namespace {

TEST(Scheme, BareNamesMeanWhatTheDocumentationSays) {
  EXPECT_EQ(to_text(parse_scheme("W4A16")),
            "W4A16:uint4,map=affine,group=32,weight-clip=mse,act-clip=mse,round=nearest,percentile=99.99,bias-"
            "correction=on,positions=compute");
  EXPECT_EQ(to_text(parse_scheme("W4A8")),
            "W4A8:int4,map=symmetric,group=channel,weight-clip=mse,act-clip=mse,round=nearest,percentile=99.99,bias-"
            "correction=on,positions=compute");
  EXPECT_EQ(parse_scheme("W4A4").activation_bits, 4);
  EXPECT_EQ(parse_scheme("W8A8").weights.format->name, "int8");
}

TEST(Scheme, TheExpandedTextReadsBackToTheSame) {
  for (const char* text : {"W4A16", "W4A8", "W4A4", "W8A16", "W4A16:int4,group=64,clip=minmax",
                           "W4A8:uint4,map=affine,percentile=99.5,clip=percentile,positions=all",
                           "W4A4:keep=first,keep=last:16,keep=depthwise", "W4A16:nf4,group=64", "W4A16:mxfp4",
                           "W4A16:nvfp4", "W4A16:map=minmax,group=channel", "W4A8:group=tensor,act-clip=minmax"}) {
    const std::string full = to_text(parse_scheme(text));
    EXPECT_EQ(to_text(parse_scheme(full)), full) << text;
  }
}

TEST(Scheme, FormatsWithBlocksBringTheirGroup) {
  EXPECT_EQ(parse_scheme("W4A16:mxfp4").group, 32);
  EXPECT_EQ(parse_scheme("W4A16:nvfp4").group, 16);
  EXPECT_THROW(parse_scheme("W4A16:mxfp4,group=64"), base::Error);
}

TEST(Scheme, WhatIsNotUnderstoodIsNamed) {
  for (const char* text :
       {"W3A16", "W4A16:int5", "W4A16:group=8", "W4A16:group=512", "W4A16:group=x", "W4A16:clip=magic",
        "W4A16:round=up", "W4A16:map=cubic", "W4A16:nf4,map=affine", "W4A16:percentile=101", "W4A16:percentile=nan",
        "W4A16:positions=some", "W4A16:keep=", "W4A16:colour=blue"}) {
    try {
      parse_scheme(text);
      ADD_FAILURE() << text;
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), base::ErrorKind::kUsage) << text;
    }
  }
}

}  // namespace
}  // namespace nibble::quant
