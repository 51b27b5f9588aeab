/**
 * Translators in browsers wrap the page's text in elements of their own. React then removes or inserts beside text that
 * is not where it put it; the browser throws, and the page is gone. Such a step is left out.
 */
export function bearTranslators(): void {
  const before = {
    remove: Reflect.get(Node.prototype, "removeChild") as (this: Node, child: Node) => Node,
    insert: Reflect.get(Node.prototype, "insertBefore") as (this: Node, child: Node, next: Node | null) => Node,
  };
  Node.prototype.removeChild = function <T extends Node>(this: Node, child: T): T {
    if (child.parentNode === this) before.remove.call(this, child);
    return child;
  };
  // Libraries leave the second argument out, or undefined.
  Node.prototype.insertBefore = function <T extends Node>(this: Node, child: T, next?: Node | null): T {
    before.insert.call(this, child, next?.parentNode === this ? next : null);
    return child;
  };
}
