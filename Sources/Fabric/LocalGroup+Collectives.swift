extension LocalGroup {
  package func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) throws {
    unsafe requireExchange(send, sendParts, receive, receiveParts)
    traffic.count(sendParts.total - sendParts.counts[rank], of: size)
    let call = unsafe Meeting.Call(
      title: "exchange", bytes: send, sendParts: sendParts, receiveParts: receiveParts)
    try together(call) {
      for peer in 0..<size {
        let theirs = meeting.call(of: peer)
        unsafe UnsafeMutableRawBufferPointer(rebasing: receive[receiveParts.range(of: peer)])
          .copyMemory(
            from: UnsafeRawBufferPointer(rebasing: theirs.bytes[theirs.sendParts.range(of: rank)]))
      }
    }
  }

  package func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) throws {
    unsafe requireGather(send, receive, parts)
    traffic.count(send.count, of: size)
    let call = unsafe Meeting.Call(title: "gather of \(parts.counts) bytes", bytes: unsafe send)
    try together(call) {
      for peer in 0..<size {
        unsafe UnsafeMutableRawBufferPointer(rebasing: receive[parts.range(of: peer)])
          .copyMemory(from: meeting.call(of: peer).bytes)
      }
    }
  }

  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    requireRoot(root)
    traffic.count(rank == root ? bytes.count : 0, of: size)
    let call = unsafe Meeting.Call(
      title: "broadcast of \(bytes.count) bytes from rank \(root)",
      bytes: UnsafeRawBufferPointer(bytes))
    try together(call) {
      if rank != root { unsafe bytes.copyMemory(from: meeting.call(of: root).bytes) }
    }
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    unsafe try reduce("sum", values, +)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    unsafe try reduce("sum", values, +)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    unsafe try reduce("sum", values, +)
  }

  package func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    unsafe try reduce("maximum", values, max)
  }

  package func barrier() throws {
    traffic.count(0, of: size)
    unsafe try meeting.meet(rank, Meeting.Call(title: "barrier"))
  }

  package func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    try PosixFile(path, mode, rank: rank) { [meeting, rank] call in
      unsafe try meeting.meet(rank, Meeting.Call(title: call))
    }
  }

  /// Combines in rank order, into a copy: `values` are read by the other ranks meanwhile.
  private func reduce<Element>(
    _ name: String, _ values: UnsafeMutableBufferPointer<Element>,
    _ combine: (Element, Element) -> Element
  ) throws {
    traffic.count(values.count * MemoryLayout<Element>.stride, of: size)
    let call = unsafe Meeting.Call(
      title: "\(name) of \(values.count) \(Element.self)", bytes: UnsafeRawBufferPointer(values))
    var result: [Element] = []
    try together(call) {
      result = unsafe Array(meeting.call(of: 0).bytes.bindMemory(to: Element.self))
      for peer in 1..<size {
        let theirs = unsafe meeting.call(of: peer).bytes.bindMemory(to: Element.self)
        for index in result.indices { result[index] = unsafe combine(result[index], theirs[index]) }
      }
    }
    for index in result.indices { unsafe values[index] = result[index] }
  }
}
