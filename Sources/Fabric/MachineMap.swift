/// Which ranks of a group run on the same machine, seen from one of them.
///
/// The ranks of one machine are *neighbours*: they can share memory, see
/// ``ProcessGroup/shareMemory(byteCount:_:)``. Machines are numbered in the order of their first
/// ranks; their ranks need not follow each other.
package struct MachineMap: Equatable, Sendable {
  /// For every rank the number of its machine.
  package let machines: [Int]
  /// How many machines there are.
  package let machineCount: Int
  /// The ranks of this rank's machine, ascending, this rank among them.
  package let neighbours: [Int]
  /// The place of this rank among ``neighbours``.
  package let index: Int

  /// The map seen from `rank`, where rank `r` is on the machine known by `keys[r]`.
  ///
  /// - Parameters:
  ///   - keys: One number for each rank, the same for ranks of one machine and for no others.
  ///   - rank: In `0 ..< keys.count`.
  package init(keys: [Int], rank: Int) {
    precondition(keys.indices.contains(rank), "a map is seen from one of its ranks")
    var numbers: [Int: Int] = [:]
    var machines: [Int] = []
    for key in keys {
      let number = numbers[key] ?? numbers.count
      numbers[key] = number
      machines.append(number)
    }
    self.machines = machines
    machineCount = numbers.count
    let own = machines[rank]
    neighbours = machines.indices.filter { machines[$0] == own }
    index = machines[..<rank].count { $0 == own }
  }

  /// The machine of this rank.
  package var machine: Int { machines[neighbours[index]] }

  /// The map of `size` ranks seen from `rank`, in runs of `ranksPerMachine` ranks, at least 1, the
  /// last run perhaps shorter; all on one machine when that is `nil`.
  package static func runs(of ranksPerMachine: Int?, size: Int, rank: Int) -> MachineMap {
    precondition(ranksPerMachine ?? 1 >= 1, "a machine has at least one rank")
    return MachineMap(keys: (0..<size).map { $0 / (ranksPerMachine ?? size) }, rank: rank)
  }
}
