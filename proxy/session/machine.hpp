// A client's session after its login, as a state machine: bytes from the client and from backends go in, actions come out.
// It owns no socket and no clock. Source: the manual's chapter "Message Flow".
//
// Work comes in cycles: a simple query, a function call, or an extended-protocol batch up to its Sync. The input of a
// cycle is consumed when the cycle ends, so that a read that fails on a replica can be begun anew on the primary.
#pragma once

#include "protocol/backend.hpp"
#include "protocol/errors.hpp"
#include "protocol/frame.hpp"
#include "protocol/frontend.hpp"
#include "proxy/cluster/deadlock.hpp"
#include "proxy/session/braid.hpp"
#include "proxy/session/branch.hpp"
#include "proxy/session/by_protocol.hpp"
#include "proxy/session/config_change.hpp"
#include "proxy/session/control.hpp"
#include "proxy/session/copy.hpp"
#include "proxy/session/definitions_made.hpp"
#include "proxy/session/gather.hpp"
#include "proxy/session/learning.hpp"
#include "proxy/session/listening.hpp"
#include "proxy/session/named_map.hpp"
#include "proxy/session/needs.hpp"
#include "proxy/session/portal.hpp"
#include "proxy/session/question.hpp"
#include "proxy/session/round.hpp"
#include "proxy/session/session_environment.hpp"
#include "proxy/session/several.hpp"
#include "proxy/session/stage.hpp"
#include "proxy/session/statement.hpp"
#include "proxy/session/step.hpp"
#include "proxy/session/transaction.hpp"
#include "router/plan/rows.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// runs on: its worker. Between on_client and the end of the cycle that it began, the bytes passed to it stay where they are.
class session_machine {
 public:
  session_machine(session_environment& environment, std::string user, settings_ptr startup, std::uint64_t serial);
  ~session_machine();
  session_machine(const session_machine&) = delete;
  session_machine& operator=(const session_machine&) = delete;

  /// Client bytes: all that have not been consumed.
  void on_client(step& s, std::string_view input);
  /// Backend bytes: all that have not been consumed. Returns how many are done with; the rest comes again with more behind
  /// it, or, when nothing can be done with it now, after a `resume`.
  [[nodiscard]] std::size_t on_backend(step& s, branch_index b, std::string_view data);
  /// `shows`: a replica's safe_until.
  void on_lease(step& s, branch_index b, backend_facts& facts, bool replica, steady_time shows = steady_time::min());
  void on_lease_failed(step& s, branch_index b, const protocol::error_report& error);
  /// The backend's connection is gone (the driver has closed it already).
  void on_backend_lost(step& s, branch_index b, std::string_view why);
  /// Shards that the session has written to, and what it must see by tokens that it was given.
  void on_recall(step& s, const std::vector<router::shard_index>& touched, const consistency_token& known);
  /// A cancel request for this session.
  void on_cancel(step& s);

  /// A notification that the listening backend of `shard` has been told: passed on, or kept to the end of the
  /// transaction, if the session listens to that channel.
  void on_notification(step& s, router::shard_index shard, const protocol::notification_view& told);
  /// The answer to `catch_up`.
  void on_caught_up(step& s);
  /// What listened for the session is gone, and with it perhaps what it has not told yet.
  void on_listener_lost(step& s, std::string_view why);
  [[nodiscard]] bool listens() const noexcept { return listening_ != nullptr; }
  /// Must be listened to on its behalf.
  [[nodiscard]] std::vector<std::string> wanted_channels() const;
  /// The encoding in which its client takes notifications.
  [[nodiscard]] std::string_view listening_encoding() const noexcept { return listening_ ? std::string_view{listening_->encoding} : std::string_view{}; }

  /// The process id that the client's BackendKeyData has: its own notifications bear it.
  void told_pid(std::int32_t pid) noexcept { client_pid_ = pid; }
  /// Nothing is under way and no transaction is open: the session could end without anybody's loss.
  [[nodiscard]] bool between_transactions() const noexcept {
    return cycle_ == cycle_kind::none && !txn_.active && !several_ && !by_protocol_;
  }
  /// A transaction on several servers waits for one of them; which these are. See lock_watch.
  [[nodiscard]] bool may_wait_for_others() const noexcept {
    return cycle_ != cycle_kind::none && txn_.active && branches_.size() > 1;
  }
  [[nodiscard]] std::vector<waiting_transaction::part> waiting_parts() const;
  /// It waits for others that wait for it, and must give way: its statement is cancelled and fails with 40P01.
  void on_deadlock(step& s);
  /// COPY FROM STDIN is under way.
  [[nodiscard]] bool takes_copy() const noexcept { return copy_in_ >= 0 || (copy_ && copy_->at == copy_state::phase::receiving); }
  /// DISCARD ALL is all that the branch's backend needs before it may go to another session.
  [[nodiscard]] bool leaves_clean(branch_index b) const noexcept;
  /// It waits for a table's new definition to be known; on_catalog() is called for a new state, and now and then.
  [[nodiscard]] bool awaits_catalog() const noexcept { return awaits_catalog_; }
  void on_catalog(step& s);
  /// The client is gone; what it has begun may end in any way.
  void client_left();
  /// What the session waits for, and how many cycles and transactions it has finished: with these as before, nothing has
  /// moved on.
  enum class activity : std::uint8_t { idle, in_transaction, running };
  [[nodiscard]] activity doing() const noexcept {
    return cycle_ != cycle_kind::none || several_ || by_protocol_ ? activity::running
           : txn_.active                                          ? activity::in_transaction
                                                                  : activity::idle;
  }
  [[nodiscard]] std::uint32_t finished_cycles() const noexcept { return finished_cycles_; }
  [[nodiscard]] std::uint32_t finished_transactions() const noexcept { return finished_transactions_; }
  [[nodiscard]] const std::string& user() const noexcept { return user_; }
  /// A statement that is no proved read has gone to the branch's backend and may be committed there without a word.
  [[nodiscard]] bool may_have_written(branch_index b) const noexcept { return b < branches_.size() && branches_[b].wrote; }
  [[nodiscard]] std::int32_t drawn_pid() const noexcept { return drawn_pid_; }
  /// Why the session keeps a backend between transactions; "" when it does not.
  [[nodiscard]] std::string_view pinned_because() const noexcept { return pin_reason_ ? std::string_view{*pin_reason_} : std::string_view{}; }

 private:
  enum class cycle_kind : std::uint8_t { none, simple, call, batch };
  enum class verdict : std::uint8_t {
    keep,  ///< the frame goes to the client as it is
    drop,  ///< it does not
    over   ///< nothing more can be read from this branch now
  };

  // machine.cpp: cycles
  void next_cycle(step& s);
  void begin_cycle();
  void work(step& s);
  void finish_cycle(step& s);
  [[nodiscard]] bool went_in_steps() const noexcept;
  void forget_steps();
  void release_branches(step& s);
  void skip_oversized(step& s);
  void begin_skip(step& s, const protocol::frame_view& frame);
  [[nodiscard]] bool probing() const noexcept;
  [[nodiscard]] char client_status() const noexcept;
  void tell_error(step& s, const protocol::error_report& error);
  void tell_ready(step& s);
  void tell_defaults(step& s, branch& b);
  void protocol_violation(step& s, std::string_view what);
  [[nodiscard]] bool anything_outstanding() const noexcept;
  void adopt_settings();

  // machine_simple.cpp: simple queries, function calls, and copy data on their way in
  void start_simple(step& s, const protocol::frame_view& frame);
  [[nodiscard]] std::optional<protocol::error_report> route_simple(
      std::string_view text, std::span<const router::sql::constant_position> constants);
  void run_simple(step& s);
  void begin_braid();
  void refuse_simple(step& s, const protocol::error_report& error);
  void start_call(step& s, const protocol::frame_view& frame);
  void copy_from_client(step& s);
  void end_copy(step& s);

  // machine_several.cpp: a text of several statements, one after the other
  [[nodiscard]] bool must_be_parted(std::string_view text, std::span<const router::sql::constant_position> constants);
  void begin_several(step& s, std::string_view text);
  void start_part(step& s);
  [[nodiscard]] bool goes_on(step& s);
  [[nodiscard]] bool holds_completion() const noexcept;
  [[nodiscard]] verdict tell_in_place(step& s, const protocol::frame_view& frame);
  void tell_moved(step& s, std::string_view error);
  [[nodiscard]] verdict tell_of_part(step& s, branch_index b, const protocol::frame_view& frame);

  // machine_by_protocol.cpp: PREPARE and EXECUTE over several shards
  void begin_by_protocol(step& s, std::string_view text);
  void start_phase(step& s);
  [[nodiscard]] bool next_phase(step& s);
  [[nodiscard]] bool is_muted(const protocol::frame_view& frame);
  [[nodiscard]] std::optional<protocol::error_report> bind_arguments();
  [[nodiscard]] std::optional<protocol::error_report> ask_types();
  [[nodiscard]] std::optional<protocol::error_report> ask_values();
  void note_computed(const protocol::frame_view& frame);

  // machine_place.cpp: route -> branches
  [[nodiscard]] bool find_place(step& s, const router::plan& p, const router::route& r, targets& out, protocol::error_report& refusal);
  [[nodiscard]] bool place(step& s, const router::plan& p, const router::route& r, targets& out, protocol::error_report& refusal);
  [[nodiscard]] bool may_use_replica(const router::plan& p, const router::route& r);
  [[nodiscard]] std::optional<branch_index> keeper_of_time() const;
  [[nodiscard]] router::shard_index any_shard(bool write) const;
  [[nodiscard]] bool takes_snapshot_anywhere() const;
  void see_everywhere(const router::plan& p, router::route& r) const;
  void tie_transaction(const router::plan& p, const router::route& r, const targets& used);
  [[nodiscard]] bool more_to_bind() const noexcept;
  [[nodiscard]] bool keeps_sequences() const noexcept;
  [[nodiscard]] bool holds_nothing() const noexcept;
  void mark_use(const router::plan& p, const router::route& r, const targets& used);

  // machine_branches.cpp: leasing, preparing and giving up
  [[nodiscard]] branch_index branch_for(step& s, router::shard_index shard, bool replica,
                                        steady_time floor = steady_time::min(), bool same = false);
  [[nodiscard]] branch_index lease_branch(step& s, router::shard_index shard, bool replica);
  [[nodiscard]] bool awaits_lease(const targets& wanted) const noexcept;
  [[nodiscard]] bool ready(step& s, const targets& wanted);
  [[nodiscard]] bool prepare(step& s, branch_index b);
  [[nodiscard]] bool bring_in_line(step& s, branch_index b);
  void pin(branch_index b, std::string reason);
  void drop_branch(branch_index b);

  // machine_needs.cpp: what a statement needs of servers before it is sent itself
  [[nodiscard]] bool needs_met(step& s);
  void ask_need(step& s, branch_index b, std::string_view sql, char what);
  [[nodiscard]] std::span<const branch_index> next_in_turn(step& s, asked_in_turn& need, bool enough);
  void need_answered(step& s, branch& b, char what);
  void fail_need(step& s, const protocol::error_report& error);
  void need_failed();
  [[nodiscard]] verdict need_error(step& s, branch_index b, const protocol::frame_view& frame);

  // machine_hold.cpp: snapshots that show commits over several shards whole
  [[nodiscard]] bool sees_commits_whole(const router::route& r) const;
  [[nodiscard]] bool arrange_hold(const router::plan& p, const router::route& r, protocol::error_report& refusal);
  void place_hold(step& s, const targets& used);
  [[nodiscard]] bool nothing_unsynced() const noexcept;
  [[nodiscard]] bool reads_in_one_batch() const noexcept;
  [[nodiscard]] bool gathers_behind_hold() const;
  [[nodiscard]] bool held(step& s);
  void say_behind_hold(step& s, branch_index b, std::string_view sql);
  [[nodiscard]] bool stands_alone() const noexcept;
  [[nodiscard]] bool goes_without(step& s, branch_index b, char what, std::string_view code);
  void hold_answered(step& s, branch& b);
  void release_hold(step& s, int keeps = -1);
  [[nodiscard]] std::string locks_of_tables() const;
  [[nodiscard]] bool reads_stored_tables(const router::plan& p) const;
  [[nodiscard]] static protocol::error_report needs_own_batch();

  // machine_copy_locks.cpp: what a write to reference tables reads must stay as it is
  void arrange_copy_locks(const router::plan& p, const router::route& r, const targets& used);
  [[nodiscard]] bool copies_locked(step& s);

  // machine_claims.cpp: values that must be unique over all shards
  [[nodiscard]] std::optional<protocol::error_report> arrange_claims(
      const router::plan& p, std::string_view text, std::span<const router::sql::constant_position> constants,
      std::span<const router::bound_parameter> parameters);
  [[nodiscard]] std::optional<protocol::error_report> claim_of_simple();
  void place_claims(step& s);
  [[nodiscard]] std::optional<protocol::error_report> refuse_named_claims(std::string_view portal) const;
  [[nodiscard]] bool claimed(step& s);
  [[nodiscard]] std::optional<protocol::error_report> claims_of_copy(const router::copy_layout& layout) const;
  [[nodiscard]] bool must_claim_copied(std::string_view tag);
  [[nodiscard]] bool copied_are_claimed(step& s);
  void take_claim_row(std::string_view row);
  void claim_answered(step& s);

  // machine_probe.cpp: what user code has left behind
  void ask_probe(step& s, branch_index b);
  void probe_row(branch_index b, std::string_view body);
  void probe_over(branch_index b);
  [[nodiscard]] bool may_unpin(const router::plan& p) const noexcept;

  // machine_control.cpp: statements that concern every server of the transaction
  [[nodiscard]] static bool is_control(const router::plan& p) noexcept;
  /// The grammar did not take the text: no statement of control that it did take reaches user code.
  [[nodiscard]] static bool unreadable(const router::plan& p) noexcept;
  /// BEGIN, where no server connection is kept for longer than a statement.
  [[nodiscard]] bool begins_block(const router::plan& p) const noexcept {
    return env_.pool_mode == config::pool_mode::statement && p.effect == router::session_effect::begin &&
           p.statement_count == 1 && !p.user_code;
  }
  [[nodiscard]] bool controls(const router::plan_ptr& p) const {
    return is_control(*p) || (p->effect == router::session_effect::two_phase && is_control(*effective(p)));
  }
  /// True: dealt with or begun (control_.running). False: an ordinary statement after all.
  [[nodiscard]] bool start_control(step& s, const router::plan_ptr& p, std::string_view sql);
  [[nodiscard]] bool control_begin(std::string_view sql, const router::plan& p);
  [[nodiscard]] bool control_end(step& s);
  [[nodiscard]] bool control_savepoint(step& s);
  void warn(std::string_view code, std::string_view text);
  void warn_of_no_block(std::string_view text);
  [[nodiscard]] bool control_settings(step& s);
  [[nodiscard]] bool control_discard(step& s);
  [[nodiscard]] bool control_deallocate(step& s);
  void run_control(step& s);
  void control_local(std::string_view tag);
  void finish_control(step& s);
  void apply_control(const router::plan& p, const std::string& sql);
  void merge_modes(const router::sql::transaction_modes& modes);

  // machine_settings.cpp: what SET, RESET and the end of a transaction do to settings
  void end_transaction(bool committed);
  void roll_back_to(int savepoint);
  void change_setting(const router::plan& p, std::string_view sql);

  // machine_consistency.cpp: pgbraid.consistency_token; what all sessions must see
  [[nodiscard]] static bool names_token(const router::plan& p) noexcept;
  [[nodiscard]] bool control_token(step& s);
  void control_refused(const protocol::error_report& error);
  void run_token(step& s);
  void note_position(branch_index b, std::string_view row);
  void tell_token(step& s);
  static void encode_shown_shape(std::string& out, std::string_view name);
  [[nodiscard]] steady_time floor_of(const router::plan& p, router::shard_index shard) const noexcept;
  [[nodiscard]] bool shows_enough(const router::plan& p, router::shard_index shard) const noexcept;
  [[nodiscard]] bool schema_is_old(router::shard_index shard) const noexcept;
  void note_changes(const router::plan& p, const targets& used);
  void publish_changes();
  void doubt_changes();

  // machine_definitions.cpp: tables that have just been made or redefined
  void note_definitions(const router::plan& p);
  void publish_definitions();
  [[nodiscard]] bool waits_for_definition(const router::plan& p);
  [[nodiscard]] std::optional<protocol::error_report> judge_definitions(const router::plan& p) const;
  void stop_awaiting_catalog() noexcept;
  [[nodiscard]] static protocol::error_report declares_by_hint();

  // machine_learning.cpp: what the transaction itself has defined
  [[nodiscard]] bool can_learn() const;
  /// Whether the statement must wait for definitions of its own transaction; most have none.
  [[nodiscard]] bool must_learn(const router::plan& p) const { return made_ && goes_by_made(p); }
  [[nodiscard]] bool goes_by_made(const router::plan& p) const;
  [[nodiscard]] bool learnt(step& s);
  void ask_definitions(step& s);
  void begin_learning(step& s);
  void fail_learning(step& s, const protocol::error_report& error);
  void take_definition(branch_index b, std::string_view row);
  void forget_own();
  /// What statements are planned by.
  [[nodiscard]] const database_state& known_state() const noexcept { return own_ ? *own_ : *env_.state; }

  // machine_hints.cpp: pgbraid.shard, pgbraid.key, pgbraid.target
  [[nodiscard]] bool control_hint();
  void apply_hint(const router::plan& p, const std::string& sql);

  // machine_config.cpp: set_config()
  [[nodiscard]] std::optional<protocol::error_report> read_configs(const router::plan& p, const protocol::bind_view* m,
                                                                   std::vector<config_change>& out) const;
  void place_config(step& s, targets& out);
  void mirror_config(const router::plan& p);
  void take_config_row(std::string_view row);
  [[nodiscard]] bool config_executed(step& s);
  void config_over();
  void change_config(const config_change& change, const std::string& value);

  // machine_listen.cpp: LISTEN, by a server connection that sessions share
  [[nodiscard]] bool can_share(const router::plan& p) const noexcept;
  [[nodiscard]] bool is_for_server(const router::plan& p) const noexcept;
  void note_listen(branch_index b, const router::plan& p);
  [[nodiscard]] bool control_listen(step& s);
  [[nodiscard]] bool awaits_channels(step& s);
  void end_listens(bool committed);
  void ask_to_catch_up(step& s);
  void leave_to_server(step& s, branch_index b, const router::plan& p);
  [[nodiscard]] bool finds_its_voice(step& s, branch_index b);
  [[nodiscard]] bool told_everything(step& s);
  void conclude(step& s);
  void stop_listening(step& s, const protocol::error_report& why);
  [[nodiscard]] std::string listen_for_show(branch_index b);
  void unlisten_after_show(step& s, branch_index b);
  [[nodiscard]] static protocol::error_report channels_not_shown();
  [[nodiscard]] bool shows_by_text(branch_index b, const router::plan& p) const noexcept;
  void tell_held(step& s);

  // machine_commit.cpp: transactions that write to several shards
  [[nodiscard]] std::size_t count_writers() const noexcept;
  [[nodiscard]] bool commits_in_steps() const noexcept;
  [[nodiscard]] std::string single_writer() const;
  [[nodiscard]] std::optional<router::shard_index> shard_without_primary() const;
  void begin_own();
  void end_own(step& s);
  void end_cycle(step& s);
  void ask_control(step& s, branch_index b, std::string_view sql);
  void begin_commit(step& s);
  void commit_step(step& s);
  [[nodiscard]] bool may_tell_decided() const;
  void tell_decided(step& s);
  [[nodiscard]] std::string error_of_wait();
  [[nodiscard]] std::string error_of_commit(const protocol::frame_view& frame);
  void commit_lost(step& s, branch_index b, const protocol::error_report& error);
  void commit_over(step& s);
  [[nodiscard]] verdict commit_answer(branch_index b, const protocol::frame_view& frame);

  // machine_extended.cpp: batches
  void collect_batch(step& s);
  void end_without_sync(step& s, const protocol::frame_view& frame);
  void run_batch(step& s);
  [[nodiscard]] bool op_cursor(step& s, std::string_view frame, answer kind, std::string_view name);
  [[nodiscard]] int home_of_cursor(std::string_view name) const noexcept;
  [[nodiscard]] bool op_sync(step& s);
  [[nodiscard]] bool op_error(step& s, const protocol::error_report& error);
  [[nodiscard]] bool drained(step& s);
  [[nodiscard]] bool on_its_only_branch(const targets& wanted) const noexcept;
  [[nodiscard]] bool settle(step& s, const targets& wanted, bool counted = false);
  void answer_locally(step& s, char type);
  void undo_unconfirmed();
  void batch_failed();

  // machine_operations.cpp: Parse and Bind
  [[nodiscard]] bool op_parse(step& s, std::string_view frame);
  [[nodiscard]] bool op_bind(step& s, std::string_view frame);
  [[nodiscard]] bool home_of_statement(step& s, const statement& st, targets& out, protocol::error_report& refusal);
  void ensure_prepared(step& s, branch_index b, statement& st, std::uint64_t unnamed_serial);
  [[nodiscard]] const statement_ptr& find_statement(std::string_view name, std::uint64_t& serial) const;
  void refresh_plan(statement& st);
  void make_room(step& s, branch_index b);
  [[nodiscard]] static std::span<const router::bound_parameter> parameters_of(const statement& st,
                                                                              const protocol::bind_view& bind);
  [[nodiscard]] router::route resolve_bind(const statement& st, const protocol::bind_view& bind);
  [[nodiscard]] std::uint64_t next_unnamed_serial() noexcept { return ++unnamed_count_ | serial_ << 32; }
  [[nodiscard]] bool refuse_parsed(step& s, const router::plan& p, const protocol::error_report& refusal,
                                   const protocol::parse_view& m, std::span<const router::oid> types);

  // machine_portals.cpp: Describe, Execute and Close
  [[nodiscard]] bool op_describe(step& s, std::string_view frame);
  [[nodiscard]] bool op_execute(step& s, std::string_view frame);
  [[nodiscard]] bool op_close(step& s, std::string_view frame);
  [[nodiscard]] portal* find_portal(std::string_view name);
  void open_portal(std::string_view name, const statement_ptr& st, const targets& home, merge_ptr merge = nullptr,
                   std::vector<config_change> configures = {});

  // machine_implicit.cpp: control of transactions and settings inside a batch
  /// Allowed in a failed transaction, which it ends or from which it goes back.
  [[nodiscard]] static bool leaves_failed_transaction(const router::plan& p) noexcept;
  /// The plan to go by: in a failed transaction PREPARE TRANSACTION is ROLLBACK.
  [[nodiscard]] router::plan_ptr effective(const router::plan_ptr& p) const;
  [[nodiscard]] std::optional<protocol::error_report> outside_of_block(const router::plan& plan) const;
  [[nodiscard]] bool execute_control(step& s, const statement_ptr& st);
  [[nodiscard]] bool control_in_batch(step& s, const statement_ptr& st);
  void end_implicit_transaction();

  // machine_prepared.cpp: PREPARE, EXECUTE and DEALLOCATE
  [[nodiscard]] static bool prepares(const router::plan& p) noexcept;
  [[nodiscard]] bool executes_statement(const router::plan& p) const;
  [[nodiscard]] std::optional<protocol::error_report> executes_unseen(const router::plan& p,
                                                                      std::string_view sql) const;
  [[nodiscard]] bool names_in_place(step& s, branch_index b, const router::plan& p, std::string_view sql);
  [[nodiscard]] std::string deallocate_foreign(branch_index b);
  void deallocate(step& s, branch_index b, std::string_view name);
  void prepare_name(step& s, branch_index b, const std::string& name, bool optional);
  void own_query(step& s, branch_index b, std::string_view sql);
  void note_prepare(branch_index b, const router::plan& p, std::string_view sql);
  void prepare_over();
  void tell_bound(step& s, branch_index failed);
  [[nodiscard]] std::string with_own_name(std::string_view frame) const;
  [[nodiscard]] std::uint64_t id_of_name(std::string_view name) const;
  [[nodiscard]] bool op_on_name(step& s, std::string_view name, std::string_view frame, answer kind);

  // machine_parsed.cpp: Parse that no server need be asked for
  [[nodiscard]] std::uint64_t parse_key(const statement& st) const;
  [[nodiscard]] bool parsed_before(const statement& st) const;
  void note_parsed(branch_index b, statement& st);

  // machine_shape.cpp: what a statement's result looks like
  [[nodiscard]] bool shape_unknown(branch_index b, const statement& st) const;
  void await_shape(const statement_ptr& st);
  void note_shape(branch_index b, std::uint64_t id, const protocol::frame_view& frame);
  [[nodiscard]] bool same_shape(step& s, statement& st);

  // machine_types.cpp: what OIDs types have on which shard
  [[nodiscard]] const router::type_numbers* numbers_of(router::shard_index shard) const noexcept;
  [[nodiscard]] bool as_first_tells(branch_index b, protocol::frame_view& frame) const;
  [[nodiscard]] std::span<const router::oid> types_for(branch_index b, std::span<const router::oid> types) const;
  [[nodiscard]] const protocol::error_report* not_in_binary(const statement& st, const protocol::bind_view& m);

  // machine_gather.cpp: reads over gathered rows
  [[nodiscard]] std::optional<protocol::error_report> cannot_gather() const;
  [[nodiscard]] std::optional<protocol::error_report> begin_gather(std::string_view text);
  void fetch_fragments(step& s, std::string_view whole, const bound_values& given);
  void fetch_whole_rows();
  [[nodiscard]] bool text_is_exact() const;
  void add_fragments(bound_values& given) const;
  void ask_combiner(step& s, const bound_values& given, std::string_view portal, const std::vector<std::int16_t>& result_formats);
  void run_gather(step& s);
  [[nodiscard]] std::string gathered_columns(std::string_view description) const;
  [[nodiscard]] bool bind_gather(step& s, const protocol::bind_view& m, const statement& st);
  [[nodiscard]] verdict gather_answer(step& s, branch_index b, const protocol::frame_view& frame);
  [[nodiscard]] bool comes_early(branch_index b, const protocol::error_fields_view& error) const;
  void tell_early_error(step& s);

  // machine_stage.cpp: writes over several shards of which something must be known first
  [[nodiscard]] bool stages(const router::plan& p) const;
  [[nodiscard]] std::optional<protocol::error_report> begin_stage(step& s, const router::plan& p, std::string_view text,
                                                                  const protocol::bind_view* m, const statement* st,
                                                                  std::optional<router::replanning> again = {});
  [[nodiscard]] std::optional<protocol::error_report> share_out_inserts(const protocol::bind_view* m,
                                                                        const statement* st);
  [[nodiscard]] std::optional<protocol::error_report> fetch_staged(step& s, std::string_view text,
                                                                   const protocol::bind_view* m, const statement* st);
  [[nodiscard]] bool stage_over(step& s, const protocol::bind_view* m, const statement* st);
  [[nodiscard]] bool stage_again(step& s, const protocol::bind_view* m, const statement* st);
  [[nodiscard]] bool lacks_rows(const protocol::bind_view* m, const statement* st) const;
  [[nodiscard]] bool picks_again(step& s, const protocol::bind_view* m, const statement* st);
  void fail_stage(step& s, const protocol::error_report& error);
  void ask_moments(step& s);
  void take_moments(step& s, std::string_view row);
  [[nodiscard]] bool bind_staged(step& s, const protocol::bind_view& m, const statement_ptr& st);

  // machine_source.cpp: the rows that it needs first
  [[nodiscard]] bool ask_source(step& s, const protocol::bind_view* m, const statement* st);
  [[nodiscard]] bool must_ask_collations() const;
  [[nodiscard]] bool ask_collations(step& s, const protocol::bind_view* m, const statement* st);
  void take_collations(std::string_view row);
  [[nodiscard]] bool plan_without_rows(step& s, const protocol::bind_view* m, const statement* st);
  void take_source_columns(step& s, std::string_view description);
  void take_source_row(step& s, std::string_view row);
  [[nodiscard]] bool spread_source();
  void ask_rows(step& s, branch& b, std::string_view sql, const own_parameters& given, std::uint32_t mark);
  [[nodiscard]] static bool parameters_of(const router::insert_part& part, const protocol::bind_view* m, const statement* st,
                                          own_parameters& out);

  // machine_move.cpp: UPDATE of the key
  [[nodiscard]] bool take_out(step& s, const protocol::bind_view* m, const statement* st);
  [[nodiscard]] bool note_move(std::vector<std::optional<std::string_view>>& row);
  [[nodiscard]] bool order_matters() const;
  void end_of_move();

  // machine_question.cpp: what is asked before a statement goes where it belongs
  [[nodiscard]] static bool worth_asking(const router::plan& p, const protocol::error_report& refusal);
  [[nodiscard]] bool begin_drawing(std::string_view text);
  void begin_asking(const protocol::error_report& refusal);
  [[nodiscard]] router::shard_index shard_to_ask() const noexcept;
  [[nodiscard]] bool question_answered(step& s, std::string_view text, std::span<const router::oid> types);
  void ask_question(step& s, std::string_view text, std::span<const router::oid> types);
  void send_question(step& s, branch_index i, std::size_t from, std::uint32_t mark);
  void take_numbers(step& s, std::string_view row);
  void note_drawn(branch_index b);
  [[nodiscard]] std::optional<protocol::error_report> go_on_with_answers(std::string_view text);
  [[nodiscard]] static protocol::error_report tables_changed();
  [[nodiscard]] bool draw_for_bind(step& s, const statement& st);

  // machine_lookup.cpp: keys that are looked up in a table
  [[nodiscard]] router::shard_index shard_with_directory() const;
  [[nodiscard]] bool has_changed_directory() const;
  [[nodiscard]] bool has_old_snapshot() const;
  [[nodiscard]] steady_time directory_changed_at() const;
  [[nodiscard]] router::route resolve(const router::plan& plan, std::string_view text,
                                      std::span<const router::sql::constant_position> constants,
                                      std::span<const router::bound_parameter> parameters);
  [[nodiscard]] bool must_look_up(const router::plan& plan) const;
  void begin_lookup();
  void ask_directory(step& s, branch_index b);
  void take_directory_row(step& s, std::string_view row);
  void end_lookup();
  [[nodiscard]] std::shared_ptr<const router::value_map> looked_up(
      const std::shared_ptr<const router::value_map>& values, router::oid type, std::int32_t modifier) const;

  // machine_backend.cpp: answers
  [[nodiscard]] verdict answer_of(step& s, branch_index b, const protocol::frame_view& frame);
  [[nodiscard]] verdict forward_answer(step& s, branch_index b, const protocol::frame_view& frame);
  [[nodiscard]] verdict error_answer(step& s, branch_index b, const protocol::frame_view& frame);
  [[nodiscard]] verdict ready_answer(step& s, branch_index b, const protocol::frame_view& frame);
  void pass_to_sync(branch_index b);
  void reconcile(step& s, branch_index b);
  void pop_answer(branch_index b);
  void settled(step& s, branch_index b);
  void tell_local_answers(step& s);
  void flush_run(step& s);
  void forward(step& s, std::string_view bytes);
  [[nodiscard]] bool hear(const expectation& e);

  // machine_quiet.cpp: answers that the client does not see as they are
  [[nodiscard]] verdict control_answer(branch_index b, const protocol::frame_view& frame);
  [[nodiscard]] verdict quiet_answer(step& s, branch_index b, const protocol::frame_view& frame);
  [[nodiscard]] verdict asynchronous(step& s, branch_index b, const protocol::frame_view& frame);

  // machine_deadlock.cpp: transactions on several servers that wait for each other
  void let_go(step& s, branch_index failed);
  [[nodiscard]] bool gives_way(const protocol::error_fields_view& error);

  // machine_copy.cpp: COPY FROM with rows of several shards
  [[nodiscard]] std::shared_ptr<const router::copy_layout> layout_of(
      const std::shared_ptr<const router::copy_layout>& planned) const;
  void begin_copy(const std::shared_ptr<const router::copy_layout>& layout, const targets& to);
  [[nodiscard]] verdict copy_opened(step& s, branch_index b, const protocol::frame_view& frame);
  void begin_taking_data(step& s);
  void split_from_client(step& s);
  void send_copied(step& s);
  [[nodiscard]] bool keeps_too_many_claims();
  void end_copy_part(step& s, std::size_t part, bool keep, std::string_view reason);
  void stop_copy(step& s);
  void fail_copy(step& s);
  [[nodiscard]] bool copy_error(step& s, branch_index b, const protocol::frame_view& frame);
  void copy_lost(step& s, branch_index b, const protocol::error_report& error);
  void copy_part_over(step& s);
  void end_copied_data(step& s, bool keep, std::string_view reason);
  void keep_for_replay(std::string_view bytes);
  [[nodiscard]] bool may_replay();
  [[nodiscard]] protocol::error_report cannot_replay() const;
  void replay_copy(step& s, branch_index b);

  // machine_numbering.cpp: COPY FROM that leaves columns to sequences
  [[nodiscard]] bool begin_numbers(std::string_view text);
  [[nodiscard]] copy_numbers* numbers_under_way() const noexcept;
  void draw_numbers(step& s, branch_index b, copy_numbers& n, const std::string& more);
  void number_rows(step& s);
  void ask_copy_numbers(step& s);
  static void take_copy_numbers(copy_numbers& n, std::string_view row);
  void copy_numbers_over(step& s);
  void send_to_judge(step& s);
  void begin_segment();
  void send_segment(step& s, bool keep, std::string_view reason);
  void end_drawing_part(step& s, bool keep, std::string_view reason);
  [[nodiscard]] bool segment_complete(branch_index b, std::string_view tag);
  void drawing_part_ready(step& s, branch_index b);
  [[nodiscard]] retold_report retell(const copy_state::part& part, const protocol::frame_view& frame) const;
  [[nodiscard]] static std::string with_row_of_draw(const protocol::frame_view& frame, const copy_numbers& n,
                                                    const router::copy_layout& layout, std::uint64_t& line);

  // machine_numbered_copies.cpp: the same into a reference table
  [[nodiscard]] bool begin_numbered_copies(std::string_view text);
  [[nodiscard]] bool numbers_copies(branch_index b) const noexcept;
  void collect_from_client(step& s);
  void collected(step& s);
  void send_numbered_copy(step& s);
  [[nodiscard]] verdict numbered_copy_error(step& s, const protocol::frame_view& frame, bool drawing);

  // machine_braid.cpp: one answer out of several branches' answers
  [[nodiscard]] bool row_descriptions_agree(std::uint32_t sequence, std::string_view body);
  [[nodiscard]] verdict braid_complete(step& s, branch_index b, std::string_view body);
  [[nodiscard]] verdict mirror_complete(step& s, branch_index b, std::string_view body);
  void tell_completion(step& s, std::string_view tag);
  [[nodiscard]] bool echoes(branch_index b) const noexcept { return braid_.speaker >= 0 && braid_.speaker != b; }
  void fail_statement(step& s, const protocol::error_report& error);
  [[nodiscard]] protocol::error_report no_room_left() const;
  void keeps_too_much(step& s);
  [[nodiscard]] bool is_kept(step& s, branch_index b, std::size_t bytes);
  [[nodiscard]] bool still_wants(branch_index b) const noexcept;
  [[nodiscard]] bool commits_without(branch_index b);
  void lose_branch(step& s, branch_index b, const protocol::error_report& error);

  // machine_rows.cpp: INSERT whose rows go to several shards
  [[nodiscard]] std::span<const router::shard_index> rows_of_insert() const;
  [[nodiscard]] bool splits_rows() const { return !rows_of_insert().empty(); }
  [[nodiscard]] targets order_of_rows() const;
  [[nodiscard]] bool mirrors() const;
  [[nodiscard]] std::vector<router::insert_part> parts_of_insert(std::string_view text, std::size_t parameters) const;
  void keep_ordered_row(step& s, branch_index b, std::string_view frame);
  void tell_ordered_rows(step& s);
  void send_parts(step& s, std::string_view text, bool ahead);
  [[nodiscard]] bool bind_parts(step& s, const protocol::bind_view& m, const statement& st, std::string_view text);

  // machine_merge.cpp: sorted rows of several branches
  void merge_instead(const router::plan& plan);
  [[nodiscard]] std::optional<protocol::error_report> order_is_unknown(const router::plan& plan,
                                                                       bool limit_known) const;
  [[nodiscard]] static protocol::error_report limit_unknown();
  [[nodiscard]] std::optional<std::uint64_t> rows_asked_for(const router::row_limit& limit, const statement& st,
                                                            const protocol::bind_view& m) const;
  [[nodiscard]] bool fetches_all(std::string_view portal) const;
  [[nodiscard]] bool fetches_in_parts(std::string_view portal) const;
  void gather_instead(const statement& st);
  [[nodiscard]] merge_ptr merge_of(const statement& st, const protocol::bind_view& m) const;
  [[nodiscard]] bool ahead_of_others(branch_index i);
  void keep_sorted_row(step& s, branch_index i, std::string_view frame);
  void tell_sorted_rows(step& s);

  // machine_explain.cpp: EXPLAIN of what several shards are asked for
  void explain_instead();
  [[nodiscard]] bool explains() const noexcept { return braid_.explain != nullptr; }
  void tell_plans(step& s);

  // machine_failover.cpp: what is begun anew when a server fails, and what is said where that cannot be
  [[nodiscard]] bool begin_anew_on_primary(step& s, branch_index b, bool lost);
  [[nodiscard]] bool begin_anew_elsewhere(step& s, branch_index b);
  void begin_anew(step& s, branch_index failed, bool lost);
  [[nodiscard]] bool outcome_unknown(branch_index b) const noexcept;
  [[nodiscard]] bool may_wait_for_primary() const noexcept;

  // machine_blocks.cpp: numbers of sequences that have been drawn ahead
  void take_from_block();
  void share_block();
  void publish_blocks();
  void settle_blocks();

  // machine_round.cpp: statements that go over one shard after the other
  [[nodiscard]] static bool may_go_round(const router::plan& p) noexcept;
  [[nodiscard]] bool goes_round(const router::plan& p) const;
  [[nodiscard]] std::optional<protocol::error_report> wrong_block(const router::plan& p) const;
  [[nodiscard]] bool execute_round(step& s, const statement_ptr& st);
  void begin_round(const router::plan_ptr& p, std::string_view text);
  [[nodiscard]] bool run_round(step& s);
  void ask_stop(step& s);
  void stop_over(step& s);
  void fail_round(step& s, const protocol::error_report& error);
  void tell_stop(step& s, std::string_view what);
  void complete_round(step& s);
  [[nodiscard]] verdict round_answer(step& s, branch_index b, const protocol::frame_view& frame);
  [[nodiscard]] protocol::error_report with_round(const protocol::error_report& error) const;

  session_environment& env_;
  std::string user_;
  std::int32_t client_pid_ = 0;
  std::int32_t drawn_pid_ = 0;         ///< the server's process through which it last may have drawn from a sequence
  settings_ptr startup_;               ///< RESET goes back to these
  settings_ptr current_;               ///< what backends must have
  settings_ptr local_;                 ///< current_ plus SET LOCAL: what planning must know
  std::shared_ptr<routing_context> context_;
  router::sql::isolation_level default_isolation_ = router::sql::isolation_level::read_committed;
  bool default_read_only_ = false;

  cycle_kind cycle_ = cycle_kind::none;
  std::uint32_t finished_cycles_ = 0, finished_transactions_ = 0;
  bool sent_ = false;                  ///< the simple statement has gone to its targets
  bool told_ = false;                  ///< something of this cycle has gone to the client
  bool cycle_failed_ = false;          ///< its error has been told
  bool answered_ = false;              ///< its ReadyForQuery has been told before its end
  bool deadlocked_ = false;            ///< its statement is being cancelled for others that wait for it
  bool force_primary_ = false;         ///< begun anew after a replica failed
  bool again_ = false;                 ///< the input may be begun anew
  std::uint8_t begun_anew_ = 0;        ///< how often it has been, since a primary was lost
  std::size_t cycle_bytes_ = 0;        ///< of the input, to be consumed at its end
  std::size_t skip_ = 0;               ///< bytes of an oversized message still to be thrown away
  std::size_t skip_total_ = 0;         ///< of how many
  bool probe_pins_ = false;            ///< the probe under way has found what must stay
  bool awaits_probe_ = false;          ///< input waits for the answer of a probe
  char skip_type_ = 0;
  int copy_in_ = -1;                   ///< branch that takes copy data
  std::size_t copy_bulk_ = 0;
  std::string_view input_;
  // While on_backend runs: its data, and the part of it that is still to be passed on.
  std::string_view data_;
  std::size_t run_ = 0, at_ = 0;
  std::string local_answers_;          ///< types of empty messages of ours that come next
  bool cycle_over_ = false;            ///< the cycle's own ReadyForQuery is among what is passed on

  transaction txn_;
  std::vector<branch> branches_;
  int pinned_ = -1;
  std::unique_ptr<const std::string> pin_reason_;  ///< null: not pinned, or for no reason of its own
  bool asks_sequences_ = false;        ///< it has asked for currval() or lastval()
  bool sets_sequences_ = false;  ///< a sequence may go on from another number than what has been drawn ahead of it
  std::unique_ptr<session_blocks> blocks_;  ///< null: it has had no number of a block yet
  bool drew_elsewhere_ = false;        ///< its last number may be of an unsharded table's sequence on another shard
  bool indelible_ = false;             ///< the pinned backend has state that DISCARD ALL leaves
  targets targets_;                    ///< of the statement being placed
  bool placed_ = false;
  router::route route_;
  router::plan_ptr plan_;
  std::unique_ptr<control_state> control_;
  std::unique_ptr<config_state> config_;        ///< null: no set_config() is under way
  statement_needs needs_;                       ///< before the statement under way is sent
  std::unique_ptr<listening_state> listening_;  ///< null: the session listens to nothing by way of a shared backend
  std::unique_ptr<gather_state> gather_;
  std::unique_ptr<stage_state> stage_;
  std::unique_ptr<question_state> question_;
  std::unique_ptr<by_protocol_state> by_protocol_;  ///< null: no PREPARE or EXECUTE is carried out by messages
  std::unique_ptr<several_statements> several_;     ///< null: no text is carried out statement by statement
  std::unique_ptr<round_state> round_;  ///< null: nothing goes over one shard after the other
  std::unique_ptr<key_lookup> lookup_;  ///< null: no key has been looked up yet
  std::unique_ptr<copy_state> copy_;
  std::unique_ptr<copy_replay> replay_;
  std::unique_ptr<definitions_made> made_;  ///< null: the transaction has defined nothing
  std::unique_ptr<learning_state> learning_;  ///< null: nothing of that is being asked for
  database_state_ptr own_;                    ///< with that; null: nobody has had to know
  database_state_ptr beneath_;                ///< the published one that it was made of
  bool awaits_catalog_ = false;
  std::unique_ptr<changed_tables> changed_;  ///< null: nothing, or nobody needs to know
  braid_state braid_;
  std::string held_complete_;          ///< CommandComplete that waits for the commit of a transaction of pgbraid's own

  // Extended protocol
  std::vector<operation> operations_;
  std::size_t operation_ = 0, scan_ = 0;
  bool collecting_ = false;            ///< the part collected so far waits for the rest of its messages
  bool batch_synced_ = false;          ///< the collected part ends with Sync
  bool batch_executed_ = false;        ///< it has had an Execute
  bool sync_sent_ = false;
  bool draining_ = false;
  std::optional<router::shard_index> batch_writer_;
  settings_ptr batch_base_;            ///< settings before the batch's implicit transaction changed any
  bool names_tried_ = false;           ///< the simple statement's branch has been asked to prepare what it may use
  bool control_sent_ = false;          ///< the operation's statement of control is on its way as a part of the batch
  named_map<statement_ptr> statements_;
  named_map<sql_statement> sql_;       ///< of SQL's PREPARE
  std::uint64_t sql_owner_ = 0;        ///< as backend_facts know this session; 0: never prepared anything
  std::unique_ptr<pending_prepare> pending_prepare_;  ///< PREPARE under way
  statement_ptr unnamed_;
  std::uint64_t unnamed_serial_ = 0;
  std::uint64_t serial_;               ///< of the session: makes unnamed serials unique on a worker
  std::vector<statement_ptr> described_;  ///< what becomes of the shapes that this cycle's descriptions have
  std::vector<std::string> unconfirmed_;  ///< names of statements whose ParseComplete is still to come
  std::uint64_t unnamed_count_ = 0;
  named_map<portal> portals_;
  portal unnamed_portal_;              ///< kept apart: it comes with every batch
  bool unnamed_portal_open_ = false;
  named_map<branch_index> cursors_;    ///< declared by SQL in the open transaction: where each is
};

}  // namespace pgbraid::proxy
