/** What each name depends on. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/** The names of a circle, the first one again at the end, or undefined where there is none. Unknown names are passed over. */
export function findCircle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const way: string[] = [];
  const walk = (name: string): string[] | undefined => {
    if (done.has(name)) return undefined;
    const start = way.indexOf(name);
    if (start >= 0) return [...way.slice(start), name];
    way.push(name);
    for (const next of graph.get(name) ?? []) {
      const circle = walk(next);
      if (circle !== undefined) return circle;
    }
    way.pop();
    done.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const circle = walk(name);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** The names in an order in which each comes after what it depends on; apart from that in the order given. */
export function dependenciesFirst(graph: Graph): string[] {
  const order = new Set<string>();
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const next of graph.get(name) ?? []) visit(next);
    if (graph.has(name)) order.add(name);
  };
  for (const name of graph.keys()) visit(name);
  return [...order];
}
