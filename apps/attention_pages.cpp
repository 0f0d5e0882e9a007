#include "apps/attention_pages.h"

#include "vit/explain/roles.h"
#include "vit/explain/token_flow.h"
#include "vit/image/cell_map.h"

namespace apps {

namespace {

using vit::Tensor;

Tensor mean_of_heads(const Tensor& probs) {
  return vit::fused_heads(probs, {}, vit::HeadFusion::mean).view({1, probs.size(1), probs.size(2)});
}

/// Head by head what the subject's tokens read of the grid: [H, rows, columns].
Tensor rows_of_heads(const vit::Subject& subject, const vit::RecordedAttention& layer) {
  const int64_t heads = layer.probs.size(0), each = layer.layout.cells();
  Tensor rows = Tensor::empty({heads, layer.layout.rows, layer.layout.columns});
  for (int64_t h = 0; h < heads; ++h) {
    const Tensor matrix = layer.probs.slice(h, h + 1).view({layer.probs.size(1), layer.probs.size(2)});
    const Tensor cells = vit::read_row(subject, {.module = layer.module, .layout = layer.layout, .probs = matrix});
    std::copy_n(cells.f32(), each, rows.f32() + h * each);
  }
  return rows;
}

std::vector<std::string> numbered(const std::string& word, int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(word + " " + std::to_string(i));
  return names;
}

/// Names of prefix tokens as far as they are known.
std::vector<std::string> prefix_names(int64_t count) {
  if (count == 0) return {};
  std::vector<std::string> names = numbered("register", count);
  names.front() = "class token";
  return names;
}

vit::ReportTokens grid_tokens(const vit::TokenLayout& layout, int64_t tokens, const vit::CellWindow& window,
                              const std::vector<std::string>& query_names) {
  vit::ReportTokens result{
      .before = prefix_names(layout.prefix), .rows = layout.rows, .columns = layout.columns, .window = window};
  const int64_t rest = tokens - layout.prefix - layout.cells();
  result.after = rest == static_cast<int64_t>(query_names.size()) ? query_names : numbered("token", rest);
  return result;
}

}  // namespace

std::vector<vit::RecordedAttention> record_attention(const vit::Subject& subject, const Tensor& pixels,
                                                     int64_t most_elements) {
  vit::AttentionRecorder recorder(
      subject,
      {.wants = [&](const std::string& module) { return subject.role_of(module) != vit::AttentionRole::queries; },
       .reduce =
           [&](const Tensor& probs) {
             if (probs.numel() <= most_elements) return probs;
             return probs.size(1) * probs.size(2) <= most_elements ? mean_of_heads(probs) : Tensor();
           }});
  vit::Context ctx;
  ctx.observer = &recorder;
  static_cast<void>(subject.objective(ctx, pixels));
  std::vector<vit::RecordedAttention> layers;
  for (const vit::RecordedAttention& layer : recorder.layers()) {
    const bool fits = layer.probs.defined() && layer.layout.cells() > 0 &&
                      layer.layout.prefix + layer.layout.cells() <= layer.probs.size(2);
    if (fits) layers.push_back(layer);
  }
  return layers;
}

std::vector<vit::SheetLayer> sheet_layers(const vit::Subject& subject,
                                          const std::vector<vit::RecordedAttention>& layers,
                                          const vit::Preprocessor& preprocessor, const vit::Extent& source) {
  std::vector<vit::SheetLayer> sheet;
  for (const vit::RecordedAttention& layer : layers)
    sheet.push_back({.name = layer.module,
                     .cells = rows_of_heads(subject, layer),
                     .window = vit::cell_window(preprocessor, source, {layer.layout.rows, layer.layout.columns})});
  return sheet;
}

std::vector<vit::ReportLayer> report_layers(const vit::Subject& subject,
                                            const std::vector<vit::RecordedAttention>& layers,
                                            const std::vector<std::string>& query_names,
                                            const vit::Preprocessor& preprocessor, const vit::Extent& source) {
  std::vector<vit::ReportLayer> pages;
  for (const vit::RecordedAttention& layer : layers) {
    const int64_t asking = layer.probs.size(1), tokens = layer.probs.size(2);
    const vit::CellWindow window = vit::cell_window(preprocessor, source, {layer.layout.rows, layer.layout.columns});
    vit::ReportLayer page{.name = layer.module, .probs = layer.probs};
    page.keys = grid_tokens(layer.layout, tokens, window, query_names);
    if (subject.role_of(layer.module) == vit::AttentionRole::cross)
      page.queries.before =
          asking == static_cast<int64_t>(query_names.size()) ? query_names : numbered("query", asking);
    else if (asking == tokens)
      page.queries = page.keys;
    else  // the first tokens alone ask, as class attention has it
      page.queries.before = prefix_names(asking);
    pages.push_back(std::move(page));
  }
  return pages;
}

}  // namespace apps
