// The OIDs of types outside pg_catalog: every shard draws its own. Clients know the first shard's, who answers what they
// ask of the catalog, so what any other tells or is told of types goes through here. Values are the same in text; in binary
// some are not, which plans say (plan::no_binary).
#include "proxy/session/machine.hpp"

#include "router/plan/planner.hpp"
#include "router/plan/targets.hpp"

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;
using router::oid;

namespace {

const oid* find_number(const std::unordered_map<oid, oid>& numbers, oid type) {
  const auto found = numbers.find(type);
  return found == numbers.end() ? nullptr : &found->second;
}

bool asks_for_binary(const p::format_list& formats) {
  for (std::size_t i = 0; i < formats.size(); ++i) {
    if (formats[i] != p::text_format) return true;
  }
  return false;
}

}  // namespace

// Null where they are the first shard's.
const router::type_numbers* session_machine::numbers_of(router::shard_index shard) const noexcept {
  const auto& schema = known_state().schema;
  if (!schema || shard >= schema->types.size() || schema->types[shard].to_first.empty()) return nullptr;
  return &schema->types[shard];
}

// Makes `frame`, in which branch `i` tells of types, what the first shard would have told. False: it is that already.
// Lifetime of what it is made: to the next call on this thread.
bool session_machine::as_first_tells(branch_index i, p::frame_view& frame) const {
  const router::type_numbers* const numbers = numbers_of(branches_[i].shard);
  if (numbers == nullptr) return false;
  thread_local std::string made;
  made.clear();
  bool differ = false;
  const auto renumber = [&](oid& type) {
    const oid* const known = find_number(numbers->to_first, type);
    if (known == nullptr) return;
    type = *known;
    differ = true;
  };
  if (frame.type == from_server::row_description) {
    p::row_description description;
    if (!p::decode(frame.body, description)) return false;
    for (p::field_description& field : description.fields) renumber(field.type);
    if (differ) p::encode_row_description(made, description.fields);
  } else {
    p::parameter_description_view parameters;
    if (!p::decode(frame.body, parameters)) return false;
    std::vector<oid> types;
    for (std::size_t k = 0; k < parameters.types.size(); ++k) {
      types.push_back(parameters.types[k]);
      renumber(types.back());
    }
    if (differ) p::encode_parameter_description(made, types);
  }
  if (differ) (void)p::next_frame(made, made.size(), frame);
  return differ;
}

// The types of parameters as branch `i` numbers them. Lifetime: to the next call on this thread.
std::span<const oid> session_machine::types_for(branch_index i, std::span<const oid> types) const {
  const router::type_numbers* const numbers = types.empty() ? nullptr : numbers_of(branches_[i].shard);
  if (numbers == nullptr) return types;
  thread_local std::vector<oid> own;
  own.assign(types.begin(), types.end());
  for (oid& type : own) {
    if (const oid* const its = find_number(numbers->from_first, type)) type = *its;
  }
  return own;
}

// Rows in binary come from the first shard where they may name types: a read is gathered there. The error to tell where that
// cannot be.
const p::error_report* session_machine::not_in_binary(const statement& st, const p::bind_view& m) {
  if (!asks_for_binary(m.result_formats)) return nullptr;
  const auto& schema = known_state().schema;
  if (!schema || schema->types.empty()) return nullptr;
  if (std::holds_alternative<router::to_gather>(route_.target)) {
    // A table of one shard only may keep it from being combined on the first.
    const auto plan = router::plan_gather(st.text, context_->context);
    return plan != nullptr && plan->combiner && numbers_of(*plan->combiner) != nullptr ? st.plan->no_binary.get()
                                                                                       : nullptr;
  }
  const auto* const one = std::get_if<router::to_shard>(&route_.target);
  const bool elsewhere = one != nullptr ? numbers_of(one->shard) != nullptr : std::holds_alternative<router::to_many>(route_.target);
  if (!elsewhere) return nullptr;
  if (route_.mode == router::access::write || router::plan_gather(st.text, context_->context) == nullptr) return st.plan->no_binary.get();
  route_.target = router::to_gather{router::owning_shards(*context_->context.map)};
  return nullptr;
}

}  // namespace pgbraid::proxy
