// Tables of file and caption, as they stand in the file: one row per caption, several rows per picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace datasets {

struct CaptionRow {
  int64_t line = 0;
  std::string file{}, caption{};  ///< caption: any bytes
};

/// Rows with tabs are taken as they are: the file up to the first tab, then the caption (quotation marks have no
/// meaning). Without a tab in the first line they are comma-separated by RFC 4180. A first row that names its columns
/// (image or file and caption or the like) says which is which; "#0" behind a file's name (Flickr8k.token.txt) is
/// its caption's number and left out. Errors (usage), with the line: a row without file or caption, damaged CSV.
std::vector<CaptionRow> parse_caption_table(const std::string& text, const std::string& name);

/// Whether a file is such a table: .tsv, .csv or .txt, with a header that names captions, numbers behind the file's
/// name, or "caption" in its own name and pictures in its first column. Never throws.
bool looks_like_caption_table(const std::string& path);

}  // namespace datasets
