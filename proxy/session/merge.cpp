// Merging of sorted rows; see merge.hpp.
#include "proxy/session/merge.hpp"

#include "protocol/frame.hpp"
#include "router/shard/sort_bytes.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;

sorted_merge::sorted_merge(merge_request request, std::span<const branch_index> branches) : by_{std::move(request)} {
  by_.binary.resize(by_.order->keys.size());
  lanes_.resize(static_cast<std::size_t>(*std::max_element(branches.begin(), branches.end())) + 1);
  for (const branch_index i : branches) lanes_[i].asked = true;
}

bool sorted_merge::fits(const p::row_description& description) const {
  return std::all_of(by_.order->keys.begin(), by_.order->keys.end(), [&](const router::merge_key& key) {
    return key.column < description.fields.size() && description.fields[key.column].type == key.type;
  });
}

// In front of each value stands where NULLs go; a descending value's bytes are turned round.
bool sorted_merge::read_key(std::string_view body, std::string& key) const {
  p::data_row_view row;
  key.clear();
  if (!p::decode(body, row)) return false;
  for (std::size_t k = 0; k < by_.order->keys.size(); ++k) {
    const router::merge_key& by = by_.order->keys[k];
    p::wire_value value;
    if (!row.columns.at(by.column, value)) return false;
    key.push_back(value.null == by.nulls_first ? '\0' : '\1');
    if (value.null) continue;
    const std::size_t from = key.size();
    if (!router::append_sort_bytes(key, by.type, by_.binary[k], value.bytes)) return false;
    if (!by.descending) continue;
    for (std::size_t i = from; i < key.size(); ++i) key[i] = static_cast<char>(~key[i]);
  }
  return true;
}

bool sorted_merge::add(branch_index i, std::string_view frame) {
  if (i >= lanes_.size() || !lanes_[i].asked) return false;
  lane& l = lanes_[i];
  if (taken_ >= by_.limit) return true;
  if (l.filled == l.keys.size()) l.keys.emplace_back();
  if (!read_key(frame.substr(p::frame_header_size), l.keys[l.filled])) return false;
  ++l.filled;
  l.rows.append(frame);
  return true;
}

void sorted_merge::take(std::string& out) {
  while (taken_ < by_.limit) {
    lane* first = nullptr;
    for (lane& l : lanes_) {
      if (!l.asked || (l.empty() && l.over)) continue;
      if (l.empty()) return;
      if (first == nullptr || l.keys[l.next] < first->keys[first->next]) first = &l;
    }
    if (first == nullptr) return;
    p::frame_view frame;
    const std::string_view rest = std::string_view{first->rows}.substr(first->at);
    if (p::next_frame(rest, rest.size(), frame) != p::frame_status::complete) return;
    out.append(frame.bytes);
    first->at += frame.total;
    ++taken_;
    if (++first->next == first->filled || first->at >= lane_bytes) first->compact();
  }
  // The result is complete: what still comes is not wanted.
  for (lane& l : lanes_) {
    l.rows.clear();
    l.at = l.next = l.filled = 0;
  }
}

// Keys that were used keep their memory for those to come.
void sorted_merge::lane::compact() {
  rows.erase(0, at);
  at = 0;
  std::rotate(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(next), keys.begin() + static_cast<std::ptrdiff_t>(filled));
  filled -= next;
  next = 0;
}

}  // namespace pgbraid::proxy
