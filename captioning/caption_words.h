// The words of a caption as metrics count them: like the Penn Treebank's, lower case, without punctuation. The rules
// are in docs/caption_metrics.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace captioning {

/// "A man's dog isn't here!" -> {"a", "man", "'s", "dog", "is", "n't", "here"}. Bytes that are no UTF-8 count as
/// U+FFFD.
std::vector<std::string> caption_words(std::string_view caption);

}  // namespace captioning
