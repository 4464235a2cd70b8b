#include "router/copy/copy_splitter.hpp"

#include <algorithm>
#include <utility>

#include "router/shard/hash.hpp"
#include "router/shard/stored_text.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

namespace {

std::variant<text_decoder, binary_decoder> decoder_for(const copy_layout& layout) {
  if (layout.shape.format.form != copy_format::kind::binary) return text_decoder{layout.shape};
  std::vector<std::size_t> keys;
  for (const copied_key& each : layout.shape.keys) keys.push_back(each.at);
  return binary_decoder{std::move(keys)};
}

bool has_high_byte(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

bool is_character_type(oid type) {
  return type == type_oid::text || type == type_oid::varchar || type == type_oid::bpchar;
}

}  // namespace

copy_splitter::copy_splitter(std::shared_ptr<const copy_layout> layout, std::shared_ptr<const topology> map,
                             const literal_context& literals, const std::vector<shard_index>& shards,
                             std::size_t max_row)
    : layout_{std::move(layout)},
      map_{std::move(map)},
      literals_{literals},
      max_row_{max_row},
      decoder_{decoder_for(*layout_)},
      parts_(shards.size()) {
  for (std::size_t i = 0; i < shards.size(); ++i) parts_[i].shard = shards[i];
  head_ = layout_->shape.format.header || layout_->shape.format.form == copy_format::kind::binary;
}

std::uint64_t copy_splitter::line() const {
  return std::visit([](const auto& decoder) { return decoder.line(); }, decoder_);
}

std::string_view copy_splitter::nudge() const {
  // As long as the longest character: so many bytes it waits for before it calls one broken.
  return std::holds_alternative<text_decoder>(decoder_) ? "xxxx" : "";
}

// One of those whose servers know how lines end, if there is any: only such a server sees what is wrong with a line.
std::size_t copy_splitter::started_part() const {
  const auto found = std::find_if(parts_.begin(), parts_.end(), [](const part& p) { return p.started; });
  return found == parts_.end() ? 0 : static_cast<std::size_t>(found - parts_.begin());
}

// The server's next line is the client's line `whole`.
void copy_splitter::note_line(part& p, std::uint64_t whole) {
  const auto* text = std::get_if<text_decoder>(&decoder_);
  const std::uint64_t inside = text == nullptr ? 0 : text->quoted_lines(!p.started);
  p.lines.add(p.lines.last() + 1 + inside, whole);
}

void copy_splitter::stop(bool ended, protocol::error_report error) {
  if (owner_ == nobody || (!parts_[owner_].started && !row_sent_)) owner_ = started_part();
  part& p = parts_[owner_];
  send_pending();
  note_line(p, line());
  stop_ = copy_stop{owner_, ended, std::move(error)};
  over_ = true;
}

// The bytes of a key are the server's; the client's are the same only where the encodings agree.
bool copy_splitter::same_bytes(oid type, const std::string& value) const {
  const bool binary = layout_->shape.format.form == copy_format::kind::binary;
  const std::string& encoding = layout_->shape.format.encoding;
  const bool alike = binary || encoding.empty() ? literals_.utf8 : names_utf8(encoding);
  return alike || !has_high_byte(value) || (binary && !is_character_type(type));
}

std::optional<shard_index> copy_splitter::shard_of(const std::vector<copy_key>& key) {
  const bool binary = layout_->shape.format.form == copy_format::kind::binary;
  std::uint64_t hash = 0;
  for (const copied_column& column : layout_->keys) {
    const copy_key& given = key[column.place];
    const auto fail = [&](protocol::error_report error) {
      doomed_ = std::move(error);
      return std::nullopt;
    };
    if (given.is == copy_key::kind::missing) return fail(make_error(error_id::copy_not_split, line()));
    if (given.is == copy_key::kind::null) return fail(make_error(error_id::null_key, column.name, layout_->table));
    const auto unknown = [&] {
      return fail(make_error(error_id::copy_key_unknown, column.name, layout_->table, given.value.substr(0, 200), line()));
    };
    if (!same_bytes(column.type, given.value)) return unknown();
    if (layout_->values != nullptr) {
      std::string bytes;
      if (!key_bytes(bytes, column.type, column.modifier, 0, binary, given.value, literals_.time_zone)) return unknown();
      const auto owner = layout_->values->shard_of(bytes);
      if (owner) return owner;
      return fail(make_error(error_id::key_unowned, binary ? "(binary)" : given.value.substr(0, 200), column.name, layout_->table));
    }
    const auto own = binary ? partition_hash_binary(column.type, column.modifier, 0, given.value)
                            : partition_hash_text(column.type, column.modifier, 0, given.value, literals_.time_zone);
    if (!own) return unknown();
    hash = combined_hash(hash, *own);
  }
  return map_->buckets.shard_of(bucket_of(hash, static_cast<std::uint32_t>(map_->buckets.owner.size())));
}

// What the row under way, whose shard is known, gives to columns that are unique over all shards.
void copy_splitter::claim(const std::vector<copy_key>& given) {
  const bool binary = layout_->shape.format.form == copy_format::kind::binary;
  bool any = false;
  for (std::size_t column = 0; column < layout_->claimed.size(); ++column) {
    const claimed_values& of = layout_->claimed[column];
    const copy_key& value = given[layout_->claimed_places[column]];
    if (value.is != copy_key::kind::value) continue;  // its server says what is wrong with a row that lacks it
    // It is looked for in the client's encoding, whatever that of the data is.
    const std::string& encoding = layout_->shape.format.encoding;
    const bool readable = !has_high_byte(value.value) || (literals_.utf8 && (encoding.empty() || names_utf8(encoding)));
    auto text = !readable && !(binary && !is_character_type(of.type)) ? std::nullopt
                : binary ? stored_text_of_binary(of.type, of.modifier, 0, value.value)
                         : stored_text(of.type, of.modifier, value.value);
    if (!text) {
      doomed_ = make_error(error_id::copy_key_unknown, of.column, layout_->table, value.value.substr(0, 200), line());
      return;
    }
    claims_.bytes += sizeof(claimed_value) + text->size();
    claims_.text_bytes += text->size();
    claims_.values.push_back({column, claims_.homes.size(), std::move(*text)});
    any = true;
  }
  if (!any) return;
  claims_.homes.push_back(parts_[owner_].shard);
  claims_.bytes += sizeof(shard_index);
}

void copy_splitter::on_key() {
  const auto& given =
      std::visit([](const auto& decoder) -> const std::vector<copy_key>& { return decoder.keys(); }, decoder_);
  if (const auto shard = shard_of(given)) {
    const auto found = std::find_if(parts_.begin(), parts_.end(), [&](const part& p) { return p.shard == *shard; });
    owner_ = static_cast<std::size_t>(found - parts_.begin());
    if (found == parts_.end()) {
      doomed_ = make_error(error_id::internal, "a row of COPY belongs to a shard that was not asked");
    } else if (!layout_->claimed.empty()) {
      claim(given);
    }
  }
  if (owner_ >= parts_.size()) owner_ = started_part();
  if (parts_[owner_].started) send_pending();
}

void copy_splitter::send_pending() {
  parts_[owner_].bytes.append(pending_);
  row_sent_ = row_sent_ || !pending_.empty();
  pending_.clear();
}

// Bytes of what is being read.
void copy_splitter::give(std::string_view bytes) {
  if (head_) {
    for (part& p : parts_) p.bytes.append(bytes);
  } else if (owner_ != nobody && parts_[owner_].started) {
    parts_[owner_].bytes.append(bytes);
  } else {
    // Its first row a server gets as a whole: if the line does not end as others do, one that knows must say so.
    pending_.append(bytes);
  }
}

void copy_splitter::row_over() {
  // Its server shall say what is wrong with it, and may take it: nothing of the transaction stays.
  if (doomed_) return stop(true, std::move(*doomed_));
  part& p = parts_[owner_];
  send_pending();
  note_line(p, line());
  p.started = true;
  row_sent_ = false;
  owner_ = nobody;
}

void copy_splitter::on_event(copy_event what) {
  switch (what) {
    case copy_event::more:
      return;
    case copy_event::head:
      // A binary file's trailer is such a piece too, and not known as one before it is whole.
      for (part& p : parts_) {
        p.bytes.append(pending_);
        if (std::holds_alternative<text_decoder>(decoder_)) p.lines.add(line(), line());
        p.started = true;
      }
      pending_.clear();
      head_ = false;
      return;
    case copy_event::key:
      return on_key();
    case copy_event::row:
      return row_over();
    case copy_event::end:
      pending_.clear();
      over_ = true;
      return;
    case copy_event::broken:
      return stop(true, make_error(error_id::copy_not_split, line()));
  }
}

void copy_splitter::take(std::string_view data) {
  while (!over_) {
    const copy_found found = std::visit([&](auto& decoder) { return decoder.take(data); }, decoder_);
    give(data.substr(0, found.bytes));
    data.remove_prefix(found.bytes);
    on_event(found.what);
    if (found.what == copy_event::more) break;
  }
  const std::size_t kept = std::visit([](const auto& decoder) { return decoder.kept(); }, decoder_);
  if (over_ || pending_.size() + kept <= max_row_) return;
  if (owner_ != nobody) {
    send_pending();
  } else {
    stop(false, make_error(error_id::copy_row_too_long, layout_->keys.front().name, line(), max_row_));
  }
}

// What a server says from here on, it says of the line behind its last one.
void copy_splitter::fail() {
  if (owner_ == nobody) owner_ = started_part();
  send_pending();
  const std::uint64_t whole = std::visit([](const auto& decoder) { return decoder.next_line(); }, decoder_);
  for (part& p : parts_) {
    if (&p == &parts_[owner_] && whole == line()) {
      note_line(p, whole);
    } else {
      p.lines.add(p.lines.last() + 1, whole);
    }
  }
  over_ = true;
}

void copy_splitter::finish() {
  while (!over_) {
    const copy_event what = std::visit([](auto& decoder) { return decoder.finish(); }, decoder_);
    on_event(what);
    if (what == copy_event::more) break;
  }
  if (!stop_) fail();
}

}  // namespace pgbraid::router
