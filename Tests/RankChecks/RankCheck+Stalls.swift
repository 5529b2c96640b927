import Fabric
import Foundation
import MPI
import TestSupport

// Ranks that wait for each other, for a while or for ever. Calls are not verified.
extension RankCheck {
  func runStallCheck(_ name: String) throws {
    switch name {
    case "diverge": try diverge()
    case "different": try callDifferently()
    case "rounds": try rounds(.max)
    case "slow": try slow()
    case "late": try late()
    case "pauses": try rounds(1000)
    default: break
    }
  }

  /// Different calls that the library takes for the same: a short message fits a longer buffer.
  private func diverge() throws {
    try world.position.enter(.exchange)
    var bytes = [UInt8](repeating: 0, count: world.rank == 1 ? 16 : 8)
    unsafe try bytes.withUnsafeMutableBytes { unsafe try world.broadcast($0, from: 0) }
    try world.position.enter(.reduce)
    var values: [Int64] = [1]
    unsafe try values.withUnsafeMutableBufferPointer { unsafe try world.maximum($0) }
    try say("not noticed")
  }

  /// Different calls in which both sides wait for ever.
  private func callDifferently() throws {
    try world.position.enter(.forward)
    try say("ready")
    if world.rank == 0 { return try world.barrier() }
    try sum(3)
  }

  /// Steps of some milliseconds, a word when the watchdogs know each other, and a last one.
  private func rounds(_ count: Int) throws {
    var isReady = false
    for round in 1...count {
      world.position.begin(epoch: 1, step: round)
      try world.position.enter(.forward)
      // Stands for the work of a step.
      usleep(5000)
      try world.position.enter(.reduce)
      try sum(3)
      if !isReady, world.isWatched {
        isReady = true
        try say("ready")
      }
    }
    try say("finished")
  }

  /// The last rank takes its time again and again.
  private func slow() throws {
    for _ in 0..<3 {
      if world.rank == world.size - 1 { sleep(2) }
      try sum(1)
    }
    try say("finished")
  }

  /// The last rank computes for ever.
  private func late() throws {
    try sum(2)
    try world.position.enter(.evaluate)
    if world.rank == world.size - 1 { while true { pause() } }
    try world.barrier()
  }

  private func sum(_ count: Int) throws {
    var values = [Double](repeating: 1, count: count)
    unsafe try values.withUnsafeMutableBufferPointer { unsafe try world.sum($0) }
  }
}
