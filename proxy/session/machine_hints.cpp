// pgbraid.shard, pgbraid.key and pgbraid.target: settings that no server is told of. They are kept among the session's
// others, so that transactions, savepoints, SET LOCAL, RESET and DISCARD mean for them what they mean for those.
#include "proxy/session/machine.hpp"

#include "router/plan/hints.hpp"

namespace pgbraid::proxy {

namespace p = protocol;
using router::session_effect;

bool session_machine::control_hint() {
  const session_effect effect = control_->plan->effect;
  const router::sql::variable_statement& variable = control_->plan->variable;
  if (effect == session_effect::show) {
    if (cycle_ != cycle_kind::batch) encode_shown_shape(control_->reply, variable.name);
    const std::string_view text = local_->value_of(variable.name, "");
    p::encode_data_row(control_->reply, std::vector<p::optional_value>{text});
    control_local("SHOW");
    return true;
  }
  if (effect == session_effect::reset) {
    control_local("RESET");
    return true;
  }
  if (!variable.to_default) {
    router::statement_hint unused;
    p::error_report error;
    const std::string_view value =
        variable.values.empty() ? std::string_view{} : std::string_view{variable.values.front()};
    const bool list = variable.values.size() > 1;
    if (list) error = p::with_hint(p::make_error(p::error_id::hint_invalid, "a list"), "Give one value.");
    if (list || !router::add_hint(variable.name.substr(std::string_view{"pgbraid."}.size()), value,
                                  *context_->context.map, unused, error)) {
      control_refused(error);
      return true;
    }
  }
  if (effect == session_effect::set_local && !txn_.active)
    warn_of_no_block("SET LOCAL can only be used in transaction blocks");
  control_local("SET");
  return true;
}

// Nothing of this is said again on another server: it is not noted among what a transaction has begun with.
void session_machine::apply_hint(const router::plan& plan, const std::string& sql) {
  if (plan.effect == session_effect::show) return;
  if (plan.effect == session_effect::set_local && !txn_.active) return;
  // The messages up to a Sync are one transaction, which undoes it if it fails.
  if (cycle_ == cycle_kind::batch && !txn_.active && !batch_base_) batch_base_ = current_;
  change_setting(plan, sql);
}

}  // namespace pgbraid::proxy
