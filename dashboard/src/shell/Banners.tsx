/** What staff say on every page, planned maintenance, and drained machines. Dismissed ones come back when they change. */

import { Alert, Anchor } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Megaphone, Wrench } from "lucide-react";
import { Fragment, useState } from "react";

import { base } from "../api/base";
import * as queries from "../api/queries";
import type { BannerRead } from "../api/schema";
import { recall, remember } from "../browser/storage";
import { useNow } from "../components/Time";
import { setTime } from "../format";
import { linked, remembered, stillShown } from "./banner-text";

const LOOK_MILLISECONDS = 60_000;

export function Banners({ userId }: { userId: string }) {
  // Other labs on this host, and other users of this browser, dismiss their own.
  const place = `gpulab.banners:${base}:${userId}`;
  const [dismissed, setDismissed] = useState(() => remembered(recall(place)));
  const { data } = useQuery({ ...queries.banners, refetchInterval: LOOK_MILLISECONDS });
  const now = useNow(LOOK_MILLISECONDS);
  // Staff know what they wrote to some students.
  const items = data?.items.filter(({ readers }) => readers === null) ?? [];
  function dismiss(banner: BannerRead): void {
    // Ids of banners that are gone are forgotten.
    const kept = [...items.map(({ id }) => id).filter((id) => dismissed.includes(id)), banner.id];
    setDismissed(kept);
    remember(place, JSON.stringify(kept));
  }
  return (
    <>
      {stillShown(items, dismissed, now).map((banner) => (
        <Alert
          key={banner.id}
          color={banner.kind === "text" ? "indigo" : "yellow"}
          icon={banner.kind === "text" ? <Megaphone aria-hidden /> : <Wrench aria-hidden />}
          title={titleOf(banner)}
          mb="md"
          role="status"
          withCloseButton
          closeButtonLabel="Dismiss"
          onClose={() => dismiss(banner)}
          className="break"
        >
          <span style={{ whiteSpace: "pre-line" }}>
            {linked(banner.text).map(({ text, href }, at) => (
              <Fragment key={at}>
                {href === null ? (
                  text
                ) : (
                  <Anchor href={href} rel="noopener noreferrer nofollow" target="_blank" underline="always" inherit>
                    {text}
                  </Anchor>
                )}
              </Fragment>
            ))}
          </span>
        </Alert>
      ))}
    </>
  );
}

function titleOf({ kind, starts_at, ends_at }: BannerRead): string | undefined {
  if (kind !== "maintenance" || starts_at === null || ends_at === null) return undefined;
  return `Maintenance from ${setTime(starts_at)} to ${setTime(ends_at)}`;
}
