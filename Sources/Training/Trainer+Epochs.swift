import Checkpoints
import Evaluation
import Fabric
import Foundation
import Interactions
import Logging
import Storage

// An epoch ends: it is judged, and what must outlive the process is written.
extension Trainer {
  /// Evaluates, keeps the best model, writes a checkpoint and the records.
  func finishEpoch() throws {
    try schedule.numbers.settle()
    try run.requirePresence(group)
    let epoch = state.epoch + 1
    let isDue = evaluator.isDue(epoch)
    clock.start()
    try clock.begin(.evaluate)
    let valid = isDue && dataset.validRows > 0 ? try evaluator.valid() : nil
    let test = isDue && configuration.reportTest != nil ? try evaluator.test() : nil
    clock.lap(.evaluate)
    let verdict = try decide(valid)
    let record = EpochRecord(
      epoch: epoch, step: state.number,
      labeledLoss: state.labeledRows > 0 ? state.labeledLoss / Double(state.labeledRows) : nil,
      unlabeledLoss: state.unlabeledRows > 0
        ? state.unlabeledLoss / Double(state.unlabeledRows) : nil,
      decisions: state.epochDecisions, skippedSteps: state.epochSkippedSteps,
      valid: valid?.reported, test: test?.reported,
      isBest: verdict.isBest, time: Date().timeIntervalSince1970,
      rowsPerSecond: state.rowsPerSecond)
    state.history.append(record)
    let isLast = verdict.shouldStop || epoch >= configuration.epochs
    let isRetrying = try checkpoints.isRetryDue(after: state.number)
    let isSaving = isLast || isRetrying || epoch % configuration.checkpointEpochs == 0
    state.beginNextEpoch()
    state.isFinished = verdict.shouldStop
    if isSaving {
      try saveCheckpoint(best: verdict.isBest ? record : nil, isLast: isLast)
    } else if verdict.isBest && dataset.validRows > 0 {
      // Without rows to choose by every epoch is the best so far: only those that are published.
      try stageBest(record)
    }
    guard group.rank == 0 else { return }
    writeRecords(record)
    let line = record.line(
      of: configuration.epochs, rows: loader.rowCount, select: configuration.select)
    surroundings.log.info("\(line)")
  }

  /// Writes what people watch; where that fails, it is made whole after the next epoch.
  private func writeRecords(_ record: EpochRecord) {
    do {
      try run.writeMetrics(state.history)
      if let events {
        try events.append(record.scalars, step: record.step, time: record.time)
      } else {
        events = try makeEvents()
      }
    } catch {
      events = nil
      surroundings.log.warning(
        "records of epoch \(record.epoch) were not written: \(error); they follow after the next")
    }
  }

  /// Rank 0 judges the epoch and tells the others.
  private func decide(_ valid: EpochEvaluator.Figures?) throws -> BestEpoch.Verdict {
    // Every rank holds the same metrics and so the same state; what rank 0 says still decides.
    let verdict =
      if let valid {
        state.best.record(
          epoch: state.epoch + 1, metrics: valid.labeled, ranking: valid.ranking?.metrics)
      } else if dataset.validRows == 0 {
        state.best.recordUnjudged(epoch: state.epoch + 1)
      } else {
        BestEpoch.Verdict.undecided
      }
    var told: [Int64] = [verdict.isBest ? 1 : 0, verdict.shouldStop ? 1 : 0]
    unsafe try told.withUnsafeMutableBytes { unsafe try group.broadcast($0, from: 0) }
    guard told == [verdict.isBest ? 1 : 0, verdict.shouldStop ? 1 : 0] else {
      throw Failure.software(
        "rank \(group.rank) and rank 0 disagree about epoch \(state.epoch + 1): ranks diverged")
    }
    return verdict
  }

  /// - Parameters:
  ///   - best: The epoch that has just become the best one.
  ///   - isLast: Whether this process writes none after it.
  /// - Throws: `Failure`; what the group throws.
  func saveCheckpoint(best: EpochRecord? = nil, isLast: Bool = false) throws {
    try schedule.numbers.settle()
    try run.requirePresence(group)
    clock.start()
    try clock.begin(.checkpoint)
    defer { clock.lap(.checkpoint) }
    state.phases += clock.take()
    let content = try RunDirectory.encode(state, pretty: true)
    let best = try best.map { try RunDirectory.encode($0, pretty: true) }
    if isLast {
      try checkpoints.saveAtEnd(step: state.number, state: content, best: best)
    } else {
      try checkpoints.save(step: state.number, state: content, best: best)
    }
  }

  private func stageBest(_ record: EpochRecord?) throws {
    clock.start()
    try clock.begin(.checkpoint)
    defer { clock.lap(.checkpoint) }
    try checkpoints.stageBest(
      step: state.number, state: try RunDirectory.encode(record, pretty: true))
  }
}
