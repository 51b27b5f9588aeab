/** The library's links and buttons, for the dashboard's addresses. */

import { Anchor, Button, NavLink, type AnchorProps, type ButtonProps, type NavLinkProps } from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, Ref } from "react";

type Own = { ref?: Ref<HTMLAnchorElement> };
type Html<Props> = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof Props>;

export const AnchorLink = createLink((props: AnchorProps & Html<AnchorProps> & Own) => <Anchor {...props} />);
export const ButtonLink = createLink((props: ButtonProps & Html<ButtonProps> & Own) => (
  <Button component="a" {...props} />
));
export const PlaceLink = createLink((props: NavLinkProps & Html<NavLinkProps> & Own) => (
  <NavLink component="a" {...props} />
));
