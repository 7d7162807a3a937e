/**
 * The names of all keys and channels, built nowhere else. Every key of a room carries the room's whole channel name as
 * its hash tag, so that a script that writes keys and publishes stays in one slot. Prefixes and rooms hold no braces.
 */
export class Keys {
  readonly #prefix: string;
  readonly #channelStart: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#channelStart = `${prefix}#/#`;
  }

  /** The sharded adapter's channel of this room, in the namespace `/`. */
  channel(room: string): string {
    return `${this.#channelStart}${room}#`;
  }

  /** A hash: epoch, seq, ts, version, and what trimming and renewing need. */
  meta(room: string): string {
    return this.#key(room, "meta");
  }

  /** A stream whose entry ids are the `seq`. */
  log(room: string): string {
    return this.#key(room, "log");
  }

  /** A hash by `seq`: what is read in the place of messages that were taken back. */
  removed(room: string): string {
    return this.#key(room, "removed");
  }

  /** A hash: an entry a connection, and count, profile and state of each user. */
  presence(room: string): string {
    return this.#key(room, "presence");
  }

  /** A sorted set: users in the order of their coming. */
  members(room: string): string {
    return this.#key(room, "members");
  }

  /** A sorted set: users who are banned from the room, by the end of the ban in Unix milliseconds. */
  bans(room: string): string {
    return this.#key(room, "bans");
  }

  /** As `bans`, of users who are blocked everywhere. */
  blocks(): string {
    return `${this.#prefix}:{blocks}`;
  }

  /** The length in front keeps apart what would be spelt alike: `a` with `b:k1`, and `a:b` with `k1`. */
  dedupe(room: string, space: "u" | "k" | "r", sender: string, id: string): string {
    return this.#key(room, `id:${space}${Buffer.byteLength(sender)}:${sender}:${id}`);
  }

  /** The last join of a connection that was given up before it was seen to arrive. */
  left(room: string, connection: string): string {
    return this.#key(room, `left:${connection}`);
  }

  /** A stream: events of this room that are not yet in the queues of the endpoints that want them. */
  outbox(room: string): string {
    return this.#key(room, "outbox");
  }

  /** A number: events that found the room's outbox full. */
  outboxDropped(room: string): string {
    return this.#key(room, "outbox:dropped");
  }

  /** A string: who moves events out of the outbox now. */
  outboxHolder(room: string): string {
    return this.#key(room, "outbox:holder");
  }

  /** A sorted set: rooms whose outboxes may hold something, by when that was last announced. One of many shards. */
  outboxes(shard: number): string {
    return `${this.#prefix}:{outboxes:${shard}}`;
  }

  /** As the keys of a room, for the `_node:…` of one life of a node. A hash: its connections that were told of. */
  connections(room: string): string {
    return this.#key(room, "connections");
  }

  /** In front of the keys of an endpoint's queue. */
  endpoint(name: string): string {
    return `${this.#prefix}:{webhooks:${name}}`;
  }

  /** A set: the rooms in which a node, in one life of its process, may have members. */
  nodeRooms(incarnation: string): string {
    return `${this.#prefix}:{node:${incarnation}}:rooms`;
  }

  /** A sorted set, by name: occupied rooms whose names fall into this shard. */
  roomShard(shard: number): string {
    return `${this.#prefix}:{rooms:${shard}}:occupied`;
  }

  /** The channel on which a node, in one life of its process, speaks to itself. */
  pulse(incarnation: string): string {
    return `${this.#prefix}:pulse:${incarnation}`;
  }

  /** A string: what a node wrote last to find out whether it can. */
  beat(incarnation: string): string {
    return `${this.#prefix}:{node:${incarnation}}:beat`;
  }

  /** A sorted set: the lives of all nodes, by the moment at which their leases run out. */
  leases(): string {
    return `${this.#prefix}:{nodes}:leases`;
  }

  /** A hash: what each node told last of how it is, by its life. */
  nodes(): string {
    return `${this.#prefix}:{nodes}:info`;
  }

  /** A sorted set: lives of nodes that are over, by the moment from which somebody else may clear up after them. */
  gone(): string {
    return `${this.#prefix}:{nodes}:gone`;
  }

  /** A sorted set: lives of nodes that stopped, by the moment until which their members may be back elsewhere. */
  released(): string {
    return `${this.#prefix}:{nodes}:released`;
  }

  #key(room: string, name: string): string {
    return `{${this.channel(room)}}:${name}`;
  }
}
