import Storage

/// Working space: on the heap when it is small, else in a file without a name, which the operating
/// system may write out when memory is short and which vanishes with the process.
///
/// The elements start as zero bytes and live as long as this object.
@safe
final class ScratchBuffer<Element: BitwiseCopyable> {
  /// Bytes from which a file is used.
  private static var smallestFile: Int { 4 << 20 }

  let elements: UnsafeMutableBufferPointer<Element>
  /// `nil` for memory of the heap.
  private let file: MappedFile?

  /// Reserves space for `count` elements.
  ///
  /// - Parameters:
  ///   - count: At least 0.
  ///   - directory: Where the file is created; its name is gone at once.
  /// - Throws: `Failure` of kind `inputOutput`, for instance when the disk is full.
  init(count: Int, in directory: String) throws(Failure) {
    let bytes = count * MemoryLayout<Element>.stride
    guard bytes >= Self.smallestFile else {
      file = nil
      let heap = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 16)
      unsafe heap.initializeMemory(as: UInt8.self, repeating: 0)
      unsafe elements = heap.bindMemory(to: Element.self)
      return
    }
    let path = "\(directory)/scratch"
    let file = try MappedFile(creating: path, count: bytes)
    unsafe elements = unsafe file.bytes.bindMemory(to: Element.self)
    self.file = file
    try Files.remove(path)
  }

  deinit {
    if file == nil { unsafe UnsafeMutableRawBufferPointer(elements).deallocate() }
  }
}
