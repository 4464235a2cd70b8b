#include "proxy/apply/atomic_group.hpp"

#include "proxy/cluster/commit_statements.hpp"
#include "proxy/cluster/prepared_id.hpp"
#include "proxy/cluster/random_record.hpp"

#include <utility>

namespace pgbraid::proxy::apply {

using router::shard_index;

atomic_group::atomic_group(shard_sessions& sessions, const database_state& state)
    : sessions_(sessions), state_(state), open_(state.shards.size()), wrote_(state.shards.size()) {}

line_report atomic_group::report_of(shard_index shard, const pg_answer& answer) const {
  return {0, answer.error, answer.detail, answer.hint, answer.sqlstate, state_.map->shards[shard]};
}

bool atomic_group::begin(std::span<const shard_index> shards, line_report& failed) {
  std::vector<shard_command> commands;
  for (const shard_index shard : shards) {
    if (!open_[shard]) commands.push_back({shard, "BEGIN"});
  }
  const std::vector<pg_answer> answers = sessions_.run(commands);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].ok()) {
      open_[commands[i].shard] = true;
    } else {
      failed = report_of(commands[i].shard, answers[i]);
    }
  }
  return failed.message.empty();
}

std::optional<line_report> atomic_group::run(const script_statement& s, const destination& where) {
  line_report failed;
  const auto give_up = [&](shard_index shard, const pg_answer& answer) {
    failed = report_of(shard, answer);
    failed.line = line_of(s, answer.position);
    undo({}, {});
    return failed;
  };
  if (!begin(where.shards, failed)) {
    failed.line = s.line;
    undo({}, {});
    return failed;
  }
  for (const shard_index shard : where.shards) wrote_[shard] = wrote_[shard] || where.writes;
  const pg_answer ahead = sessions_.run(where.shards.front(), s.text);
  if (!ahead.ok()) return give_up(where.shards.front(), ahead);
  std::vector<shard_command> commands;
  for (std::size_t i = 1; i < where.shards.size(); ++i) commands.push_back({where.shards[i], s.text});
  const std::vector<pg_answer> answers = sessions_.run(commands);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].ok()) return give_up(commands[i].shard, answers[i]);
  }
  return std::nullopt;
}

atomic_group::ending atomic_group::commit() {
  std::vector<shard_index> wrote;
  std::vector<shard_command> others;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (!open_[i]) continue;
    const auto shard = static_cast<shard_index>(i);
    if (wrote_[i]) {
      wrote.push_back(shard);
    } else {
      others.push_back({shard, "COMMIT"});
    }
  }
  const std::vector<pg_answer> answers = sessions_.run(others);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    open_[others[i].shard] = false;
    if (answers[i].ok()) continue;
    const line_report report = report_of(others[i].shard, answers[i]);
    undo({}, {});
    return {outcome::undone, report};
  }
  ending out;
  if (wrote.size() == 1) {
    const pg_answer answer = sessions_.run(wrote.front(), "COMMIT");
    if (!answer.ok())
      out = {answer.sqlstate.empty() ? outcome::unknown : outcome::undone, report_of(wrote.front(), answer)};
  } else if (wrote.size() > 1) {
    out = commit_over_several(wrote);
  }
  end();
  return out;
}

atomic_group::ending atomic_group::commit_over_several(const std::vector<shard_index>& wrote) {
  const shard_index deciding = wrote.front();
  const std::string record = random_record();
  const std::string id = prepared_id(record, state_.shards[deciding].identity);
  const bool gated = state_.map->consistent;
  std::vector<shard_command> commands;
  for (const shard_index shard : wrote) {
    commands.push_back({shard, shard == deciding ? record_statement(record, gated) : prepare_statement(id, gated)});
  }
  std::vector<pg_answer> answers = sessions_.run(commands);
  std::vector<shard_index> prepared;
  std::optional<line_report> failed;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].ok()) {
      if (!failed) failed = report_of(wrote[i], answers[i]);
    } else if (wrote[i] != deciding) {
      prepared.push_back(wrote[i]);
      open_[wrote[i]] = false;
    }
  }
  if (!failed) {
    const pg_answer decision = sessions_.run(deciding, "COMMIT");
    // Nobody knows: whoever reads the record does.
    if (!decision.ok() && decision.sqlstate.empty()) return {outcome::unknown, report_of(deciding, decision)};
    if (!decision.ok()) failed = report_of(deciding, decision);
  }
  if (failed) {
    undo(prepared, id);
    return {outcome::undone, *failed};
  }
  commands.clear();
  for (const shard_index shard : prepared) commands.push_back({shard, "COMMIT PREPARED '" + id + "'"});
  answers = sessions_.run(commands);
  ending out;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].ok()) out.report = report_of(prepared[i], answers[i]);
  }
  return out;
}

void atomic_group::undo(const std::vector<shard_index>& prepared, const std::string& id) {
  std::vector<shard_command> commands;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    const auto shard = static_cast<shard_index>(i);
    if (open_[i] && sessions_.is_open(shard)) commands.push_back({shard, "ROLLBACK"});
  }
  for (const shard_index shard : prepared) {
    if (sessions_.is_open(shard)) commands.push_back({shard, "ROLLBACK PREPARED '" + id + "'"});
  }
  (void)sessions_.run(commands);
  end();
}

void atomic_group::end() {
  open_.assign(open_.size(), false);
  wrote_.assign(wrote_.size(), false);
}

}  // namespace pgbraid::proxy::apply
