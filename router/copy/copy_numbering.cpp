#include "router/copy/copy_numbering.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

namespace {

std::variant<text_decoder, binary_decoder> decoder_for(const copy_layout& layout) {
  if (layout.shape.format.form == copy_format::kind::binary) return binary_decoder{{layout.given - 1}};
  // Where rows end is all that is asked of it.
  return text_decoder{{layout.shape.format, {copied_key{std::numeric_limits<std::size_t>::max()}}}};
}

void append_big_endian(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

std::size_t size_of_integer(oid type) {
  return type == type_oid::int2 ? 2 : type == type_oid::int4 ? 4 : type == type_oid::int8 ? 8 : 0;
}

bool append_integer(std::string& out, const std::string& value, oid type) {
  std::int64_t number = 0;
  const std::size_t bytes = size_of_integer(type);
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (bytes == 0 || error != std::errc{} || stop != end) return false;
  append_big_endian(out, bytes, 4);
  append_big_endian(out, static_cast<std::uint64_t>(number), bytes);
  return true;
}

// As its type's receive function takes it.
bool append_binary(std::string& out, const std::string& value, oid type) {
  if (type != type_oid::text && type != type_oid::varchar) return append_integer(out, value, type);
  append_big_endian(out, value.size(), 4);
  out += value;
  return true;
}

// An escape that no digit behind it can be taken for a part of.
void append_code(std::string& out, char c) {
  out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
}

void append_text(std::string& out, const std::string& value, const copy_format& format) {
  for (std::size_t at = 0; at < value.size(); ++at) {
    const char c = value[at];
    const bool special = c == '\\' || c == format.delimiter || c < ' ';
    // The mark for NULL is looked for before escapes are.
    if (special || (at == 0 && value == format.null_mark)) {
      append_code(out, c);
    } else {
      out.push_back(c);
    }
  }
}

// What stands in quotes is never NULL.
void append_csv(std::string& out, const std::string& value, const copy_format& format) {
  out.push_back(format.quote);
  for (const char c : value) {
    if (c == format.quote || c == format.escape) out.push_back(format.escape);
    out.push_back(c);
  }
  out.push_back(format.quote);
}

void append_null(std::string& out, const copy_format& format) {
  out.push_back(format.delimiter);
  out += format.null_mark;
}

// Source: limit_printout_length (copyfromparse.c).
std::string shortened(std::string_view row) {
  constexpr std::size_t most = 100;
  if (row.size() <= most) return std::string{row};
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(row[end]) & 0xc0) == 0x80) --end;
  return std::string{row.substr(0, end)} + "...";
}

// At the end of the data a lone backslash stands for nothing; in front of anything else it does not.
bool ends_in_escape(std::string_view row) {
  const std::size_t last = row.find_last_not_of('\\');
  const std::size_t backslashes = row.size() - (last == std::string_view::npos ? 0 : last + 1);
  return backslashes % 2 == 1;
}

}  // namespace

copy_numbering::copy_numbering(std::shared_ptr<const copy_layout> layout, std::size_t max_row)
    : layout_{std::move(layout)}, max_row_{max_row}, decoder_{decoder_for(*layout_)} {}

std::uint64_t copy_numbering::line() const {
  return std::visit([](const auto& decoder) { return decoder.line(); }, decoder_);
}

copy_numbering::place copy_numbering::place_of(std::size_t index) const {
  for (const piece& each : pieces_) {
    if (each.is != kind::row || index-- > 0) continue;
    place out{each.line, {}};
    if (!is_binary()) out.shown = shortened(std::string_view{each.bytes}.substr(0, each.bytes.size() - each.tail));
    return out;
  }
  return {line(), {}};
}

bool copy_numbering::append_value(std::string& out, const std::optional<std::string>& given, oid type) const {
  const copy_format& format = layout_->shape.format;
  if (!given) {
    is_binary() ? append_big_endian(out, 0xffffffff, 4) : append_null(out, format);
    return true;
  }
  const std::string& value = *given;
  // It comes in the client's encoding, which need not be the data's.
  if (std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    return false;
  if (is_binary()) return append_binary(out, value, type);
  out.push_back(format.delimiter);
  format.form == copy_format::kind::csv ? append_csv(out, value, format) : append_text(out, value, format);
  return true;
}

void copy_numbering::keep(kind is, std::size_t tail) {
  if (is == kind::plain && !under_way_.empty()) plain_from_ = std::min(plain_from_, line());
  wanted_ += is == kind::row ? 1 : 0;
  pieces_.push_back({is, std::exchange(under_way_, {}), tail, line()});
}

void copy_numbering::refuse(protocol::error_report error) {
  refused_ = std::move(error);
  under_way_.clear();
  over_ = true;
}

void copy_numbering::row_over() {
  if (const auto* binary = std::get_if<binary_decoder>(&decoder_)) {
    // A server would tell other numbers of values than the client knows of.
    return binary->values() == layout_->given ? keep(kind::row) : refuse(make_error(error_id::copy_not_split, line()));
  }
  const auto& text = std::get<text_decoder>(decoder_);
  if (text.values() < layout_->given) {
    // With a number behind it, that would be another column's value. As it stands, its server says what is missing.
    keep(kind::plain);
    over_ = true;
    return;
  }
  const bool open = text.tail() == 0 && layout_->shape.format.form == copy_format::kind::text;
  if (open && ends_in_escape(under_way_)) return refuse(make_error(error_id::copy_not_split, line()));
  keep(kind::row, text.tail());
}

void copy_numbering::on_event(copy_event what) {
  switch (what) {
    case copy_event::more:
    case copy_event::key:
      return;
    case copy_event::head: {
      // A binary file's trailer is told as one too.
      if (!clients_head_.empty()) return keep(kind::plain);
      clients_head_ = head_ = std::exchange(under_way_, {});
      head_line_ = line();
      if (layout_->shape.format.header_match && !is_binary()) {
        const std::size_t tail = std::get<text_decoder>(decoder_).tail();
        head_.resize(head_.size() - tail);
        for (const numbered_column& each : layout_->numbered) (void)append_value(head_, each.name, each.type);
        head_ += clients_head_.substr(clients_head_.size() - tail);
      }
      pieces_.push_back({kind::head, head_, 0, head_line_});
      return;
    }
    case copy_event::row:
      return row_over();
    case copy_event::end:
    case copy_event::broken:
      if (what == copy_event::broken && is_binary() && !clients_head_.empty())
        return refuse(make_error(error_id::copy_not_split, line()));
      keep(kind::plain);
      over_ = true;
      return;
  }
}

void copy_numbering::take(std::string_view data) {
  while (!over_) {
    const copy_found found = std::visit([&](auto& decoder) { return decoder.take(data); }, decoder_);
    // What shows that a line is broken need not belong to it.
    under_way_.append(data.substr(0, found.what == copy_event::broken ? data.size() : found.bytes));
    data.remove_prefix(found.bytes);
    on_event(found.what);
    if (found.what == copy_event::more) break;
  }
  if (over_ || under_way_.size() <= max_row_) return;
  auto error = make_error(error_id::copy_row_too_long, layout_->numbered.front().name, line(), max_row_);
  error.message =
      fmt::format("a row without a value for \"{}\" is too long (line {})", layout_->numbered.front().name, line());
  refuse(std::move(error));
}

void copy_numbering::finish() {
  while (!over_) {
    const copy_event what = std::visit([](auto& decoder) { return decoder.finish(); }, decoder_);
    on_event(what);
    if (what == copy_event::more) break;
  }
  fail();
}

void copy_numbering::fail() {
  if (!under_way_.empty()) keep(kind::plain);
  over_ = true;
}

bool copy_numbering::supply(std::string& out, const std::vector<std::optional<std::string>>& numbers) {
  std::size_t next = 0;
  while (!pieces_.empty()) {
    const piece& each = pieces_.front();
    if (each.is != kind::row) {
      out += each.bytes;
      pieces_.pop_front();
      continue;
    }
    if (numbers.size() - next < layout_->numbered.size()) break;
    std::string_view rest = each.bytes;
    if (is_binary()) {
      append_big_endian(out, layout_->given + layout_->numbered.size(), 2);
      rest.remove_prefix(2);
    }
    out += rest.substr(0, rest.size() - each.tail);
    for (const numbered_column& column : layout_->numbered) {
      if (!append_value(out, numbers[next++], column.type)) return false;
    }
    out += rest.substr(rest.size() - each.tail);
    pieces_.pop_front();
    --wanted_;
  }
  return true;
}

std::string_view copy_numbering::without_numbers(std::string_view shown, std::uint64_t number) const {
  const copy_format& format = layout_->shape.format;
  std::string before{format.delimiter};
  if (format.form == copy_format::kind::csv) before.push_back(format.quote);
  // Of a long line a server shows the beginning alone.
  if (number >= plain_from_ || number <= head_line_ || shown.ends_with("...")) return shown;
  for (std::size_t i = 0; i < layout_->numbered.size(); ++i) shown = shown.substr(0, shown.rfind(before));
  return shown;
}

}  // namespace pgbraid::router
