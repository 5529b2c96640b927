internal import CMPI
internal import CSharedMemory
internal import Fabric
internal import Foundation

/// Shared memory of the ranks of an MPI job.
final class CommunicatorMemory: SharedMemory {
  /// Where the bytes are.
  enum Storage {
    /// Ordinary memory: there are no neighbours.
    case own(PageMemory)
    case window(SharedWindow)
  }

  private let storage: Storage
  private let number: Int
  private let group: Communicator
  private var state = FenceState()

  init(_ storage: Storage, number: Int, of group: Communicator) {
    self.storage = storage
    self.number = number
    self.group = group
  }

  func part(ofNeighbour index: Int) -> UnsafeMutableRawBufferPointer {
    state.requireOpen()
    return switch storage {
    case .own(let memory): unsafe memory.part(index)
    case .window(let window): unsafe window.part(index)
    }
  }

  var whole: UnsafeMutableRawBufferPointer {
    state.requireOpen()
    return switch storage {
    case .own(let memory): unsafe memory.whole
    case .window(let window): unsafe window.whole
    }
  }

  func arrive() throws {
    state.arrive()
    try group.begin(.arrive, count: 0, detail: Int64(number))
    defer { group.calls.end() }
    group.traffic.count(0, of: group.size)
    if case .window(let window) = storage { window.arrive() }
  }

  func wait() throws {
    state.wait()
    try group.begin(.wait, count: 0, detail: Int64(number))
    defer { group.calls.end() }
    if case .window(let window) = storage { try window.wait() }
  }

  func close() throws {
    if state.hasArrived { try wait() }
    state.close()
    try group.begin(.closeMemory, count: 0, detail: Int64(number))
    defer { group.calls.end() }
    group.traffic.count(0, of: group.size)
    group.memories.removeAll { $0 === self }
    if case .window(let window) = storage { try window.free() }
  }
}
