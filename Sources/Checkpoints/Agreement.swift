import Fabric
import Storage

extension ProcessGroup {
  /// Runs `body` on every rank and lets all ranks succeed, or all fail.
  ///
  /// When `body` throws on some ranks, those keep their own error and the others get
  /// `rank r failed: …` with the message of the lowest of them, so that every rank leaves at the
  /// same place and the group can be used on. `body` may hold collectives if it calls the same
  /// ones whether or not it is about to throw. A collective, two more messages after an error.
  ///
  /// - Parameter body: This rank's share of the work.
  /// - Returns: The value of `body`, or the failure that all ranks see.
  /// - Throws: Only what the group's own collectives throw, after which it cannot be used.
  func agree<Value>(_ body: () throws -> Value) throws -> Result<Value, Failure> {
    let outcome: Result<Value, Failure>
    do {
      outcome = .success(try body())
    } catch let failure as Failure {
      outcome = .failure(failure)
    } catch {
      outcome = .failure(Failure(.software, String(describing: error)))
    }
    var failure: Failure?
    if case .failure(let own) = outcome { failure = own }
    let worst = try maximum(of: [failure == nil ? 0 : Int64(size - rank)])[0]
    guard worst > 0 else { return outcome }
    let culprit = size - Int(worst)
    let kind = try broadcast([failure.map { UInt8($0.kind.rawValue) } ?? 0], from: culprit)
    let message = try broadcast(Array((failure?.message ?? "").utf8), from: culprit)
    if failure != nil { return outcome }
    return .failure(
      Failure(
        kind.first.flatMap { Failure.Kind(rawValue: Int32($0)) } ?? .software,
        "rank \(culprit) failed: \(String(decoding: message, as: UTF8.self))"))
  }

  /// Runs `body` on rank 0 only; all ranks succeed or all fail.
  ///
  /// - Parameter body: The work of rank 0.
  /// - Throws: The failure of rank 0, on every rank.
  func onRoot(_ body: () throws -> Void) throws {
    try agree { if rank == 0 { try body() } }.get()
  }

  /// The largest of each of `values` over all ranks.
  func maximum(of values: [Int64]) throws -> [Int64] {
    var values = values
    unsafe try values.withUnsafeMutableBufferPointer { unsafe try maximum($0) }
    return values
  }

  /// The bytes that rank `root` passes, on every rank; what the others pass is ignored.
  func broadcast(_ bytes: [UInt8], from root: Int) throws -> [UInt8] {
    var count = Int64(rank == root ? bytes.count : 0)
    unsafe try withUnsafeMutableBytes(of: &count) { unsafe try broadcast($0, from: root) }
    var result = rank == root ? bytes : [UInt8](repeating: 0, count: Int(count))
    if count > 0 {
      unsafe try result.withUnsafeMutableBytes { unsafe try broadcast($0, from: root) }
    }
    return result
  }

  /// The values of all ranks, in rank order; `counts` says how many each passes.
  func gather(_ values: [UInt64], counts: [Int]) throws -> [UInt64] {
    let parts = Partition(counts: counts.map { $0 * MemoryLayout<UInt64>.size })
    var result = [UInt64](repeating: 0, count: counts.reduce(0, +))
    unsafe try values.withUnsafeBytes { send in
      unsafe try result.withUnsafeMutableBytes { receive in
        unsafe try gather(send, into: receive, parts)
      }
    }
    return result
  }
}
