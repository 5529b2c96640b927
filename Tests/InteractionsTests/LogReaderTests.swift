import Interactions
import Storage
import Testing

@Suite struct LogReaderTests {
  struct Fields: Equatable {
    var user: String
    var item: String
    var rating: Double?
  }

  func read(_ path: String) throws -> [Fields] {
    let reader = try LogReader(path: path)
    var rows: [Fields] = []
    while try reader.next() {
      unsafe rows.append(
        Fields(
          user: String(decoding: reader.user, as: UTF8.self),
          item: String(decoding: reader.item, as: UTF8.self), rating: reader.rating))
    }
    return rows
  }

  /// Every separator with and without header, CR LF, byte order mark and final line feed.
  @Test(
    arguments: [("\t", Separator.tab), ("::", .doubleColon), (",", .comma), (" ", .blanks)],
    0..<16)
  func everyFormatGivesTheSameRows(format: (text: String, separator: Separator), variant: Int)
    throws
  {
    let directory = try TemporaryDirectory()
    var lines = [
      ["u1", "i1", "4"], ["ü2", "i1", "2.5", "978300760"], ["u1", "7", "-1e0"], ["a", "b"],
    ]
    if variant & 1 != 0 { lines.insert(["who", "what", "stars", "when"], at: 0) }
    let ending = variant & 2 != 0 ? "\r\n" : "\n"
    var text = lines.map { $0.joined(separator: format.text) }.joined(separator: ending)
    if variant & 4 != 0 { text = "\u{FEFF}" + text }
    if variant & 8 != 0 { text += ending + ending }
    let path = try directory.write(text, to: "log")
    let reader = try LogReader(path: path)
    #expect(reader.separator == format.separator)
    #expect(reader.hasHeader == (variant & 1 != 0))
    #expect(
      try read(path) == [
        Fields(user: "u1", item: "i1", rating: 4), Fields(user: "ü2", item: "i1", rating: 2.5),
        Fields(user: "u1", item: "7", rating: -1), Fields(user: "a", item: "b", rating: nil),
      ])
  }

  @Test(arguments: ["user", "userId", "USER_ID", "uid"])
  func wellKnownNamesMakeAHeader(name: String) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("\(name),item\na,b\n", to: "log")
    #expect(try read(path) == [Fields(user: "a", item: "b", rating: nil)])
  }

  @Test func aFirstRowWithoutRatingIsNoHeader() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("a\tb\nc\td\t3\n", to: "log")
    #expect(try read(path).count == 2)
  }

  @Test func emptyRatingsAreExposuresAndEmptyLinesNothing() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("u\ti\t\t123\n\n\r\nu\tj\t\nu\tk\t 4 \t\n", to: "log")
    let reader = try LogReader(path: path)
    var lines: [Int] = []
    while try reader.next() { lines.append(reader.line) }
    #expect(lines == [1, 4, 5])
    #expect(try read(path).map(\.rating) == [nil, nil, 4])
  }

  @Test func blanksMayBeRepeatedAndLead() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("  u   i  5\n   \nv i   4  99 \n", to: "log")
    #expect(
      try read(path) == [
        Fields(user: "u", item: "i", rating: 5), Fields(user: "v", item: "i", rating: 4),
      ])
  }

  @Test func idsAreTakenByteForByte() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("a b, c:d,3\n\"q\",007,4\n", to: "log")
    #expect(
      try read(path) == [
        Fields(user: "a b", item: " c:d", rating: 3), Fields(user: "\"q\"", item: "007", rating: 4),
      ])
  }

  /// The fast path and `strtod` both round correctly: the same as the literal parser of Swift.
  @Test(arguments: [
    "0", "-0", "5", "+3", "3.5", ".5", "4.", "0.1", "2.675", "123456789012345", "0.00000000000001",
    "1234567890123456789", "1e3", "1.5E-7", "9007199254740993", "0.1234567890123456789",
    "00000000000000000000001.5", "1e-400",
  ])
  func ratingsAreRoundedCorrectly(text: String) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("u\ti\t\(text)\n", to: "log")
    let literal = text.hasSuffix(".") ? text + "0" : text
    let expected = try #require(Double(literal.hasPrefix(".") ? "0" + literal : literal))
    #expect(try read(path).first?.rating?.bitPattern == expected.bitPattern)
  }

  @Test(arguments: [
    ("u\ti\t4\nu\n", 2, "one field"),
    ("u\ti\t4\tt\nu\ti\t4\t5\t6\n", 2, "more than 4 fields"),
    ("u\ti\t4\n\ti\t4\n", 2, "user id is empty"),
    ("u\ti\t4\nu\t\t4\n", 2, "item id is empty"),
    ("u\ti\t4\n\nu\ti\tgood\n", 3, "'good' is not a number"),
    ("u\ti\t4\nu\ti\t0x10\n", 2, "'0x10' is not a number"),
    ("u\ti\t4\nu\ti\t1e\n", 2, "'1e' is not a number"),
    ("u\ti\t4\nu\ti\t1 2\n", 2, "'1 2' is not a number"),
    ("u\ti\t4\nu\ti\t-\n", 2, "'-' is not a number"),
    ("u\ti\tnan\nu\ti\t4\n", 1, "'nan' is not finite"),
    ("u\ti\t4\nu\ti\t-Inf\n", 2, "'-Inf' is not finite"),
    ("u\ti\t4\nu\ti\t1e999\n", 2, "'1e999' is not finite"),
    ("who,what,stars\n", 1, "'stars' is not a number"),
  ])
  func badRowsAreNamedByFileAndLine(text: String, line: Int, message: String) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(text, to: "log")
    let failure = try #require(failure { _ = try read(path) })
    #expect(failure.kind == .data)
    #expect(failure.message.hasPrefix("\(path):\(line): "))
    #expect(failure.message.contains(message))
    #expect(!failure.message.contains("\n"))
  }

  @Test(arguments: [
    ("", "is empty"), ("\n\r\n", "is empty"), ("user\titem\n", "a header and no rows"),
  ])
  func filesWithoutRowsAreRefused(text: String, message: String) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(text, to: "log")
    let failure = try #require(failure { _ = try read(path) })
    #expect(failure.kind == .data)
    #expect(failure.message.hasPrefix("\(path): "))
    #expect(failure.message.contains(message))
  }

  @Test func filesThatCannotBeReadAreInputOutputErrors() throws {
    let directory = try TemporaryDirectory()
    for path in ["\(directory.path)/absent", directory.path] {
      let failure = try #require(failure { _ = try read(path) })
      #expect(failure.kind == .inputOutput)
      #expect(failure.message.contains(path))
    }
  }

  /// A line of exactly the limit passes, also across the ends of the read buffer; one more byte
  /// does not, with or without an end.
  @Test func linesAreLimited() throws {
    let directory = try TemporaryDirectory()
    let limit = 1 << 20
    let row = "u\ti\t4\t"
    let longest = row + String(repeating: "9", count: limit - row.utf8.count)
    let path = try directory.write(
      [longest, longest, longest, row].joined(separator: "\n"), to: "log")
    #expect(try read(path).count == 4)
    for ending in ["\n", ""] {
      for extra in [1, 2 * limit] {
        let long = longest + String(repeating: "9", count: extra)
        let bad = try directory.write(row + "\n" + long + ending, to: "bad")
        let failure = try #require(failure { _ = try read(bad) })
        #expect(failure.message.hasPrefix("\(bad):2: the line is longer than \(limit) bytes"))
      }
    }
  }

  /// Rows that straddle every refill of the buffer are whole, and the checksum covers the file.
  @Test func longFilesArriveUnchanged() throws {
    let directory = try TemporaryDirectory()
    var text = ""
    for row in 0..<200_000 { text += "user\(row % 977)\titem\(row)\t\(row % 5)\n" }
    let path = try directory.write(text, to: "log")
    let reader = try LogReader(path: path)
    var row = 0
    var mismatches = 0
    while try reader.next() {
      let isUser = unsafe reader.user.elementsEqual("user\(row % 977)".utf8)
      let isItem = unsafe reader.item.elementsEqual("item\(row)".utf8)
      if !isUser || !isItem || reader.rating != Double(row % 5) || reader.line != row + 1 {
        mismatches += 1
      }
      row += 1
    }
    #expect(row == 200_000)
    #expect(mismatches == 0)
    #expect(reader.bytes == text.utf8.count)
    let expected = unsafe Array(text.utf8).withUnsafeBytes { unsafe XXHash64.hash($0) }
    #expect(reader.checksum == expected)
  }
}
