// Float convolution on oneDNN.
//
// oneDNN is driven single-threaded on slices that we cut: an image of a batch, or a band of output rows of a single
// image. Slices depend on the problem alone, so results do not depend on the number of threads.
#include "ops/convolution.h"

#include <algorithm>
#include <deque>
#include <functional>

#include "ops/element_types.h"
#include "ops/onednn.h"

namespace nibble::ops {

int64_t ConvShape::macs() const {
  int64_t n = out_channels * (in_channels / groups);
  for (size_t d = 0; d < window.dims(); ++d) n *= window.kernel[d] * window.out[d];
  return n;
}

ConvShape read_convolution(const Node& node, const Shape& x, const Shape& w) {
  const auto require = [&](bool ok, const std::string& sentence) {
    if (!ok) base::fail_malformed(node.describe(), sentence);
  };
  ConvShape conv;
  conv.channels_last = node.integer("channels_last", 0) != 0;
  conv.groups = node.integer("group", 1);
  require(x.size() >= 3, "its input has shape " + to_string(x) + ", at least 3 dimensions were expected");
  require(w.size() == x.size(), "its weight " + to_string(w) + " and input " + to_string(x) + " differ in rank");
  require(conv.groups >= 1, "group is " + std::to_string(conv.groups));
  require(!conv.channels_last || x.size() == 4, "channels_last is for two spatial dimensions");
  conv.batch = x[0];
  conv.in_channels = conv.channels_last ? x.back() : x[1];
  conv.out_channels = w[0];
  for (const int64_t size : w) require(size >= 1 || size == kUnknown, "its weight " + to_string(w) + " is empty");
  require(conv.out_channels == kUnknown || conv.out_channels % conv.groups == 0,
          "group does not divide its output channels");
  if (conv.in_channels != kUnknown && w[1] != kUnknown)
    require(w[1] <= (int64_t{1} << 40) / conv.groups && w[1] * conv.groups == conv.in_channels,
            "its input has " + std::to_string(conv.in_channels) + " channels, its weight " + to_string(w) +
                " with group " + std::to_string(conv.groups) + " expects another number");
  const auto spatial_first = x.begin() + (conv.channels_last ? 1 : 2);
  const std::vector<int64_t> in(spatial_first, spatial_first + static_cast<std::ptrdiff_t>(x.size() - 2));
  conv.window = read_window(node, in, {w.begin() + 2, w.end()}, false);
  return conv;
}

Shape output_shape(const ConvShape& conv) {
  Shape shape{conv.batch};
  if (!conv.channels_last) shape.push_back(conv.out_channels);
  shape.insert(shape.end(), conv.window.out.begin(), conv.window.out.end());
  if (conv.channels_last) shape.push_back(conv.out_channels);
  return shape;
}

FusedActivation read_activation(const Node& node) {
  FusedActivation a;
  const std::string kind = node.text("activation", "");
  if (kind == "Relu") a.kind = Activation::kRelu;
  if (kind == "LeakyRelu") a.kind = Activation::kLeakyRelu;
  if (kind == "Clip") a.kind = Activation::kClip;
  a.alpha = node.real("alpha", 0.01f);
  a.low = node.real("low", 0.0f);
  a.high = node.real("high", 0.0f);
  return a;
}

namespace {

void infer_conv(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1), "its input and weight have different element types");
  if (c.has(2)) c.require(c.dtype(2) == c.dtype(0), "its bias and its input have different element types");
  if (!c.shape_known(0) || !c.shape_known(1)) return c.output_of_unknown_rank(0, c.dtype(0));
  const ConvShape conv = read_convolution(c.node(), c.shape(0), c.shape(1));
  if (c.has(2) && c.shape_known(2))
    c.require(
        c.shape(2) == Shape{conv.out_channels} || conv.out_channels == kUnknown,
        "its bias has shape " + to_string(c.shape(2)) + ", [" + std::to_string(conv.out_channels) + "] was expected");
  c.output(0, c.dtype(0), output_shape(conv));
}

/// One slice's geometry: the rows it reads and the padding that it still sees.
struct Band {
  int64_t in_begin = 0, in_rows = 0, out_begin = 0, out_rows = 0, pad_top = 0, pad_bottom = 0;
};

/// Output rows of one image cut into bands of about equal size.
std::vector<Band> cut_bands(const ConvShape& conv) {
  const Window& w = conv.window;
  int64_t count = 1;
  if (conv.batch == 1 && conv.channels_last) {
    // Multiply-adds at full speed of which one core does about 100'000 in a microsecond: halves of 2 us are worth a
    // hand-over, but every band loads the weights again and computes less at a time, so that more are made of large
    // work only.
    constexpr double kWorthHalving = 200'000, kWorthCutting = 1'500'000;
    // Few channels leave lanes idle and make more memory accesses of each multiply-add.
    const int64_t lanes = (conv.out_channels + 15) / 16 * 16;
    const int64_t accesses = std::clamp<int64_t>(16 * conv.groups / conv.in_channels, 1, conv.groups > 1 ? 8 : 4);
    const double cost = static_cast<double>(conv.macs() / conv.out_channels * lanes * accesses);
    constexpr int64_t kMost = 8;
    while (count < kMost && 2 * count <= w.out[0] &&
           cost >= static_cast<double>(2 * count) * (count == 1 ? kWorthHalving : kWorthCutting))
      count *= 2;
  }
  if (count == 1) return {{0, w.in[0], 0, w.out[0], w.pads_begin[0], w.pads_end[0]}};
  std::vector<Band> bands;
  for (int64_t i = 0; i < count; ++i) {
    Band b;
    b.out_begin = w.out[0] * i / count;
    const int64_t out_end = w.out[0] * (i + 1) / count;
    b.out_rows = out_end - b.out_begin;
    const int64_t begin = b.out_begin * w.strides[0] - w.pads_begin[0];
    const int64_t end = (out_end - 1) * w.strides[0] + (w.kernel[0] - 1) * w.dilations[0] + 1 - w.pads_begin[0];
    b.in_begin = std::clamp<int64_t>(begin, 0, w.in[0] - 1);
    const int64_t in_end = std::clamp<int64_t>(end, b.in_begin + 1, w.in[0]);
    b.in_rows = in_end - b.in_begin;
    b.pad_top = b.in_begin - begin;
    b.pad_bottom = end - in_end;
    bands.push_back(b);
  }
  return bands;
}

/// Windows that can lie wholly in the padding have no fast implementation in oneDNN (nor a band that sees some input);
/// their input is padded in a copy.
bool pads_beyond_window(const ConvShape& conv) {
  const Window& w = conv.window;
  if (!conv.channels_last) return false;
  for (size_t d = 0; d < w.dims(); ++d) {
    const int64_t extent = (w.kernel[d] - 1) * w.dilations[d] + 1;
    if (w.pads_begin[d] >= extent || w.pads_end[d] >= extent) return true;
  }
  return false;
}

/// A window of one place that takes every position has no need of rows: its positions become one column, which can be
/// cut anywhere into equal bands.
void join_rows(ConvShape& conv) {
  Window& w = conv.window;
  if (!conv.channels_last || conv.groups > 1) return;
  for (size_t d = 0; d < w.dims(); ++d)
    if (w.kernel[d] != 1 || w.strides[d] != 1 || w.pads_begin[d] != 0 || w.pads_end[d] != 0) return;
  w.in = w.out = {w.in[0] * w.in[1], 1};
}

/// [N, H, W, C] with the window's zeros around.
Tensor padded_input(const Tensor& x, const Window& w, int64_t batch, int64_t channels) {
  const int64_t rows = w.in[0] + w.pads_begin[0] + w.pads_end[0], columns = w.in[1] + w.pads_begin[1] + w.pads_end[1];
  Tensor padded(DType::f32, {batch, rows, columns, channels});
  float* to = mutable_data_of<float>(padded);
  const float* from = data_of<float>(x);
  const int64_t run = w.in[1] * channels;
  for (int64_t r = 0; r < batch * w.in[0]; ++r)
    std::copy_n(from + r * run, run,
                to + ((r / w.in[0] * rows + r % w.in[0] + w.pads_begin[0]) * columns + w.pads_begin[1]) * channels);
  return padded;
}

using Tag = dnnl::memory::format_tag;

Tag activation_tag(const ConvShape& conv) {
  const size_t dims = conv.window.dims();
  if (conv.channels_last) return Tag::nhwc;
  return dims == 1 ? Tag::ncw : dims == 2 ? Tag::nchw : Tag::ncdhw;
}
Tag weight_tag(size_t dims, bool grouped) {
  if (grouped) return dims == 1 ? Tag::goiw : dims == 2 ? Tag::goihw : Tag::goidhw;
  return dims == 1 ? Tag::oiw : dims == 2 ? Tag::oihw : Tag::oidhw;
}

/// One band's oneDNN memories and the arguments made of them, kept because making them costs as much as a small slice.
struct Call {
  dnnl::memory source, target, bias, scratch;
  std::vector<dnnl_exec_arg_t> arguments;
};

/// Primitives and packed weights for one input shape.
struct PreparedConv {
  Shape input;
  ConvShape conv;  // as oneDNN sees it: without padding where the input is padded in a copy
  bool pads_input = false;
  Window original;  // the node's own
  std::vector<Band> bands;
  std::vector<dnnl::convolution_forward> primitives;  // one a band
  std::vector<dnnl::convolution_forward::primitive_desc> descriptions;
  std::vector<const dnnl::memory*> weights;  // one a band, in the layout that it wants
  size_t scratch_bytes = 0;                  // what the hungriest band wants
  std::vector<std::vector<Call>> calls;      // by worker, then by band; made when a worker first meets the band
};

struct ConvState {
  Tensor source;  // the weight that the rest was made from; held, so that its place in memory is not used again
  std::vector<std::unique_ptr<PreparedConv>> prepared;
  std::deque<std::pair<dnnl::memory::desc, dnnl::memory>> weights;  // packed; bands and shapes share equal layouts
  std::vector<std::vector<std::byte>> scratch;                      // one a worker
};

std::unique_ptr<PreparedConv> prepare(RunContext& c, bool fused) {
  auto p = std::make_unique<PreparedConv>();
  p->input = c.input(0).shape();
  p->conv = read_convolution(c.node(), c.input(0).shape(), c.input(1).shape());
  p->original = p->conv.window;
  p->pads_input = pads_beyond_window(p->conv);
  if (p->pads_input) {
    Window& w = p->conv.window;
    double elements = static_cast<double>(p->conv.batch * p->conv.in_channels);
    for (size_t d = 0; d < 2; ++d) elements *= static_cast<double>(w.in[d] + w.pads_begin[d] + w.pads_end[d]);
    if (elements > 64.0 * static_cast<double>(c.input(0).elements() + c.output(0).elements()) + (1 << 20))
      c.unsupported("its padding goes far beyond its input and its output");
    for (size_t d = 0; d < 2; ++d) w.in[d] += w.pads_begin[d] + w.pads_end[d];
    w.pads_begin = w.pads_end = {0, 0};
  }
  join_rows(p->conv);
  const ConvShape& conv = p->conv;
  if (conv.window.dims() > 3) c.unsupported("has more than 3 spatial dimensions");
  p->bands = cut_bands(conv);
  const bool grouped = conv.groups > 1;
  using desc = dnnl::memory::desc;
  constexpr auto f32 = dnnl::memory::data_type::f32;

  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (fused) {
    const FusedActivation a = read_activation(c.node());
    dnnl::post_ops post;
    if (a.kind == Activation::kRelu) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
    if (a.kind == Activation::kLeakyRelu) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, a.alpha, 0.0f);
    if (a.kind == Activation::kClip) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_clip, a.low, a.high);
    attr.set_post_ops(post);
  }
  for (const Band& band : p->bands) {
    std::vector<int64_t> in = conv.window.in, out = conv.window.out;
    std::vector<int64_t> pad_begin = conv.window.pads_begin, pad_end = conv.window.pads_end;
    in[0] = band.in_rows;
    out[0] = band.out_rows;
    pad_begin[0] = band.pad_top;
    pad_end[0] = band.pad_bottom;
    std::vector<int64_t> dilates = conv.window.dilations;
    for (int64_t& d : dilates) --d;  // oneDNN counts the gaps
    std::vector<int64_t> src{1, conv.in_channels}, dst{1, conv.out_channels};
    src.insert(src.end(), in.begin(), in.end());
    dst.insert(dst.end(), out.begin(), out.end());
    std::vector<int64_t> weight{conv.out_channels / conv.groups, conv.in_channels / conv.groups};
    if (grouped) weight.insert(weight.begin(), conv.groups);
    weight.insert(weight.end(), conv.window.kernel.begin(), conv.window.kernel.end());
    const Tag tag = activation_tag(conv);
    const desc weight_desc(weight, f32,
                           Tag::any);  // each band's own choice: another band's layout may have no fast code
    const auto bias_desc = c.has(2) ? desc({conv.out_channels}, f32, Tag::x) : desc();
    const dnnl::convolution_forward::desc d(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                                            desc(src, f32, tag), weight_desc, bias_desc, desc(dst, f32, tag),
                                            conv.window.strides, dilates, pad_begin, pad_end);
    dnnl::convolution_forward::primitive_desc description;
    try {
      description = dnnl::convolution_forward::primitive_desc(d, attr, onednn_engine());
    } catch (const dnnl::error&) {
      c.unsupported("oneDNN has no convolution of this shape");
    }
    p->primitives.emplace_back(description);
    p->descriptions.push_back(description);
    p->scratch_bytes = std::max(p->scratch_bytes, description.scratchpad_desc().get_size());
  }
  p->calls.resize(static_cast<size_t>(c.pool().threads()), std::vector<Call>(p->bands.size()));
  return p;
}

void make_call(Call& call, const dnnl::convolution_forward::primitive_desc& description, const dnnl::memory& weights,
               bool with_bias) {
  const auto unbound = [](const dnnl::memory::desc& d) { return dnnl::memory(d, onednn_engine(), nullptr); };
  call.source = unbound(description.src_desc());
  call.target = unbound(description.dst_desc());
  call.scratch = unbound(description.scratchpad_desc());
  call.arguments = {{DNNL_ARG_SRC, call.source.get()},
                    {DNNL_ARG_WEIGHTS, weights.get()},
                    {DNNL_ARG_DST, call.target.get()},
                    {DNNL_ARG_SCRATCHPAD, call.scratch.get()}};
  if (!with_bias) return;
  call.bias = unbound(description.bias_desc());
  call.arguments.push_back({DNNL_ARG_BIAS, call.bias.get()});
}

/// The weight in the layout `wanted`; made once a layout.
const dnnl::memory* packed_weight(ConvState& state, const ConvShape& conv, const dnnl::memory::desc& wanted,
                                  const Tensor& weight) {
  for (const auto& [layout, memory] : state.weights)
    if (layout == wanted) return &memory;
  const dnnl::memory::desc plain(wanted.dims(), dnnl::memory::data_type::f32,
                                 weight_tag(conv.window.dims(), conv.groups > 1));
  dnnl::memory source(plain, onednn_engine(), const_cast<std::byte*>(weight.bytes().data()));
  dnnl::memory target(wanted, onednn_engine());
  dnnl::stream stream(onednn_engine());
  dnnl::reorder(source, target).execute(stream, source, target);
  stream.wait();
  state.weights.emplace_back(wanted, std::move(target));
  return &state.weights.back().second;
}

void run_float_conv(RunContext& c, bool fused) {
  if (c.input(0).dtype() != DType::f32) c.unsupported("takes only 32-bit floats");
  if (c.output(0).elements() == 0) return;
  if (c.input(0).elements() == 0) c.malformed("its input is empty");
  const SingleThreadedOnednn guard;
  auto& state = c.state<ConvState>();
  if (state.source.bytes().data() != c.input(1).bytes().data() || state.source.shape() != c.input(1).shape()) {
    state.prepared.clear();  // a computed weight may be another at every run
    state.weights.clear();
    state.source = c.input(1);
  }
  PreparedConv* p = nullptr;
  for (const auto& candidate : state.prepared)
    if (candidate->input == c.input(0).shape()) p = candidate.get();
  if (!p) {
    auto made = prepare(c, fused);
    p = made.get();
    for (const auto& description : p->descriptions)
      p->weights.push_back(packed_weight(state, p->conv, description.weights_desc(), c.input(1)));
    constexpr size_t kKept = 4;  // shapes that a network alternates between
    if (state.prepared.size() == kKept) state.prepared.erase(state.prepared.begin());
    state.prepared.push_back(std::move(made));
  }
  state.scratch.resize(static_cast<size_t>(c.pool().threads()));

  const ConvShape& conv = p->conv;
  Tensor padded;
  if (p->pads_input) padded = padded_input(c.input(0), p->original, conv.batch, conv.in_channels);
  const Tensor& input = p->pads_input ? padded : c.input(0);
  const int64_t bands = static_cast<int64_t>(p->bands.size());
  const int64_t in_image = input.elements() / conv.batch, out_image = c.output(0).elements() / conv.batch;
  const int64_t in_row = in_image / conv.window.in[0], out_row = out_image / conv.window.out[0];  // channels last
  const float* x = data_of<float>(input);
  float* y = mutable_data_of<float>(c.output(0));
  const auto run_band = [&](int64_t index, int worker) {
    const SingleThreadedOnednn worker_guard;
    const size_t i = static_cast<size_t>(index % bands);
    const int64_t image = index / bands;
    const Band& band = p->bands[i];
    auto& scratch = state.scratch[static_cast<size_t>(worker)];
    if (scratch.size() < p->scratch_bytes) scratch.resize(p->scratch_bytes);
    Call& call = p->calls[static_cast<size_t>(worker)][i];
    if (call.arguments.empty()) make_call(call, p->descriptions[i], *p->weights[i], c.has(2));
    const float* source = x + image * in_image + (bands > 1 ? band.in_begin * in_row : 0);
    float* target = y + image * out_image + (bands > 1 ? band.out_begin * out_row : 0);
    call.source.set_data_handle(const_cast<float*>(source));
    call.target.set_data_handle(target);
    call.scratch.set_data_handle(scratch.data());
    if (c.has(2)) call.bias.set_data_handle(const_cast<std::byte*>(c.input(2).bytes().data()));
    auto& stream = onednn_stream();
    dnnl::error::wrap_c_api(dnnl_primitive_execute(p->primitives[i].get(), stream.get(),
                                                   static_cast<int>(call.arguments.size()), call.arguments.data()),
                            "could not execute a convolution");
    stream.wait();
  };
  c.pool().for_each(conv.batch * bands, std::cref(run_band));  // a reference: it needs no memory of its own
}

void run_conv(RunContext& c) { run_float_conv(c, false); }
void run_fused_conv(RunContext& c) { run_float_conv(c, true); }

}  // namespace

const Operator& conv() {
  static const Operator op{"Conv", "", 2, 3, 1, infer_conv, run_conv, Layout::kFixed, false};
  return op;
}

/// Conv followed by an activation, channels last where the attribute says so.
const Operator& fused_conv() {
  static const Operator op{"FusedConv", "nibble", 2, 3, 1, infer_conv, run_fused_conv, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
